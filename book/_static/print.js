// Called by `pdf` in the page that holds the whole book, once without and once with page numbers.
(numbers) => {
  document.querySelectorAll("aside, .sidebar-drawer, .toc-drawer, header, footer, .code-switch, .back-to-top, #print-contents, .toctree-wrapper > .caption")
    .forEach(one => one.remove());
  document.querySelectorAll("details.hide").forEach(one => { one.open = false; });
  document.querySelectorAll("a[href]").forEach(link => {
    const found = link.getAttribute("href").match(/^(\d\d_\w+)\.html/);
    if (found) link.setAttribute("href", `#document-${found[1]}`);
  });
  document.querySelectorAll("[id^=document-]").forEach(one => one.nextElementSibling?.style.setProperty("break-before", "page"));
  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")];
  const list = document.createElement("ol");
  headings.forEach((heading, k) => {
    heading.id ||= `heading-${k}`;
    // the first page is h1 with its parts, every other page an h3 with its sections; the list of chapters is all links
    if (!/^H[34]$/.test(heading.tagName) || heading.querySelector("a.reference")) return;
    const entry = document.createElement("li");
    entry.className = heading.tagName.toLowerCase();
    const link = document.createElement("a");
    link.href = `#${heading.parentElement.id || heading.id}`;
    const text = heading.cloneNode(true);
    text.querySelectorAll(".headerlink").forEach(one => one.remove());
    const page = document.createElement("span");
    page.textContent = numbers[k] ?? "000";
    link.append(text.textContent, page);
    entry.append(link);
    list.append(entry);
  });
  const contents = document.createElement("nav");
  contents.id = "print-contents";
  contents.append(Object.assign(document.createElement("p"), { textContent: "Contents", className: "title" }), list);
  document.querySelector("h2").parentElement.before(contents);
}
