// The contents stand open where there is room beside the text; the link of the section in view is marked.
const wide = matchMedia("(min-width: 68rem)");
const contents = document.getElementById("contents");
if (contents) {
  const fit = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fit);
  fit();
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });
  const links = new Map([...contents.querySelectorAll("a")].map((a) => [a.hash.slice(1), a]));
  const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
  let waiting = false;
  const mark = () => {
    waiting = false;
    const passed = headings.filter((h) => h.getBoundingClientRect().top < 120);
    const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const last = end ? headings[headings.length - 1] : passed[passed.length - 1];
    const now = last ? last.id : null;
    links.forEach((a, id) => {
      if (id === now) a.setAttribute("aria-current", "true");
      else a.removeAttribute("aria-current");
    });
  };
  addEventListener("scroll", () => {
    if (!waiting) { waiting = true; requestAnimationFrame(mark); }
  }, { passive: true });
  mark();
}
const toggle = document.getElementById("show-code");
toggle.addEventListener("change", () => {
  document.body.classList.toggle("without-code", !toggle.checked);
});
