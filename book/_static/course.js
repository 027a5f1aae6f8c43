// One switch for all code of a page. Made by the script, so that nobody sees a switch that is dead.
document.addEventListener("DOMContentLoaded", () => {
  const title = document.querySelector("article h1");
  const folded = document.querySelectorAll("details.hide");
  if (!title || !folded.length) return;
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

// Air around the names of functions (log, exp, ...), and no line that begins with a full stop.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll("math mi").forEach(name => {
    if (!/^[a-z]{2,}$/.test(name.textContent)) return;
    const next = name.nextElementSibling, last = name.previousElementSibling;
    const air = () => {
      const space = document.createElementNS(name.namespaceURI, "mspace");
      space.setAttribute("width", "0.167em");
      return space;
    };
    if (next && next.localName !== "mo") name.after(air());
    if (last && last.localName !== "mo") name.before(air());
  });
  document.querySelectorAll("article math:not([display=block])").forEach(math => {
    const text = math.nextSibling, found = /^[.,;:?!)’”]+/.exec(text?.nodeType === 3 ? text.data : "");
    if (!found) return;
    const line = document.createElement("span");
    line.style.whiteSpace = "nowrap";
    math.before(line);
    line.append(math, found[0]);
    text.data = text.data.slice(found[0].length);
  });
});
