// One switch for all code of a page. Made by the script, so that nobody sees a switch that is dead.
document.addEventListener("DOMContentLoaded", () => {
  const title = document.querySelector("article h1");
  const folded = document.querySelectorAll("details.hide");
  if (!title || !document.querySelector(".cell_input")) return;
  const label = document.createElement("label");
  label.className = "code-switch";
  label.append("Code: ");
  const select = document.createElement("select");
  for (const [value, text] of [["some", "drawing folded"], ["all", "all shown"], ["none", "all hidden"]])
    select.add(new Option(text, value));
  select.addEventListener("change", () => {
    folded.forEach(one => { one.open = select.value === "all"; });
    document.body.classList.toggle("no-code", select.value === "none");
  });
  label.append(select);
  (document.querySelector(".rests") || title).after(label);
});
