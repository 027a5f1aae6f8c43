"""Notebooks as HTML pages that need nothing from outside: no script, style, font from a network.

In: an executed notebook. Out: the text of a page; formulas are MathML, images and links stay whole.
The look is in `report_template/`.
"""

import functools
import html
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import jinja2
import nbformat
from latex2mathml.converter import convert
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

TEMPLATE = Path(__file__).resolve().parent / "report_template"

_ENVIRONMENTS = {
    *("align", "align*", "split", "aligned", "gathered", "array", "cases"),
    *("matrix", "pmatrix", "bmatrix", "vmatrix", "equation", "equation*"),
}


class FormulaError(ValueError):
    """A formula that cannot be shown as MathML; its text names formula and reason."""


def mathml(latex: str, display: bool = False) -> str:
    r"""A LaTeX formula as a `<math>` element with the LaTeX as its `alttext`.

    Raises FormulaError for an unknown command or environment, braces that do not pair, an empty
    formula. The converter itself passes these on without a word, so the check is made here.
    """
    latex = latex.strip()
    problem = _problem(latex)
    if problem is None:
        # Same meaning in a form that the converter knows; `split` is `aligned` by another name.
        known = re.sub(r"\{(aligned|gathered)\}", "{split}", latex)
        known = re.sub(r"\\(begin|end)\{equation\*?\}", "", known)
        known = known.replace(r"\boldsymbol{", r"\mathbf{")
        try:
            made = convert(known, display="block" if display else "inline")
            tree = ElementTree.fromstring(made)
        except Exception as error:  # latex2mathml raises many kinds, some without a text
            problem = f"{type(error).__name__} {error}".strip()
        else:
            left = {word for part in tree.itertext() for word in re.findall(r"\\\w*", part)}
            if left:
                problem = f"unknown command {', '.join(sorted(left))}"
    if problem is not None:
        raise FormulaError(f"the formula `{latex}` cannot be shown: {problem}")
    return made.replace("<math ", f'<math alttext="{html.escape(latex)}" ', 1)


def _problem(latex: str) -> str | None:
    if not latex:
        return "it is empty"
    if r"\operatorname*" in latex:
        return r"unknown command \operatorname*; write \argmax or \operatorname"
    for name in re.findall(r"\\begin\{([^}]*)\}", latex):
        if name not in _ENVIRONMENTS:
            return f"unknown environment {name}; known: {', '.join(sorted(_ENVIRONMENTS))}"
    depth = 0
    for brace in re.findall(r"[{}]", re.sub(r"\\.", "", latex)):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            break
    return None if depth == 0 else "its braces do not pair"


class _Markdown(IPythonRenderer):
    """nbconvert's renderer, but with MathML, one anchor a heading and links that fit the site."""

    def __init__(self, resources: dict, **options):
        super().__init__(**options)
        self.resources = resources

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        # tabindex: a formula wider than a phone scrolls, and a keyboard must reach it.
        return f'<span class="formula" tabindex="0">{mathml(body, display=True)}</span>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")

    def heading(self, text: str, level: int, **attrs) -> str:
        contents = self.resources["contents"]
        plain = html.unescape(re.sub(r"<annotation.*?</annotation>|<[^>]+>", "", text)).strip()
        base = re.sub(r"[^\w]+", "-", plain.lower()).strip("-") or "section"
        taken = {entry["id"] for entry in contents}
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}-{count}"
        contents.append({"id": name, "level": level, "html": text})
        anchor = f'<a class="anchor" href="#{name}" aria-label="Link to this section">#</a>'
        return f'<h{level} id="{name}">{text} {anchor}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, _site_url(url, self.resources), title)

    def table(self, text: str) -> str:
        return f'<div class="scroll" tabindex="0"><table>{text}</table></div>\n'


def _site_url(url: str, resources: Mapping) -> str:
    """A link as it must stand in the report: notebooks become pages, files are found from there."""
    if re.match(r"[a-zA-Z][\w+.-]*:|#|/|//", url):
        return url
    target, hash_, anchor = url.partition("#")
    if target.endswith(".ipynb") and Path(target).name in resources["pages"]:
        return f"{Path(target).stem}.html{hash_}{anchor}"
    there = os.path.relpath(resources["source"] / target, resources["out"])
    return f"{Path(there).as_posix()}{hash_}{anchor}"


class _Exporter(HTMLExporter):
    template_name = TEMPLATE.name
    extra_template_basedirs = [str(TEMPLATE.parent)]

    @property
    def default_config(self):
        config = super().default_config
        # No JavaScript or widget state: both need libraries that a page would have to fetch.
        config.NbConvertBase.display_data_priority = [
            *("text/html", "text/markdown", "text/latex"),
            *("image/svg+xml", "image/png", "image/jpeg", "text/plain"),
        ]
        return config

    @jinja2.pass_context
    def markdown2html(self, context, source: str) -> str:
        cell, site = context["cell"], context["resources"]["site"]
        renderer = _Markdown(
            site,
            escape=False,
            attachments=cell.get("attachments", {}),
            embed_images=True,
            path=str(site["source"]),
        )
        try:
            return MarkdownWithMath(renderer=renderer).render(source)
        except FormulaError as error:
            raise FormulaError(f"cell {cell.metadata['position']}: {error}") from error


@functools.cache
def _exporter() -> _Exporter:
    return _Exporter()


def notebook_page(
    nb: nbformat.NotebookNode,
    *,
    source: Path,
    out: Path,
    heading: str,
    series: Sequence[tuple[str, str]],
    here: int,
) -> str:
    """The page of one executed notebook.

    `source` is the folder that relative links and images in the text start from, `out` the folder
    the page will lie in. `series` holds (file name without ending, title) of every notebook that
    has a page, `here` this one's place in it. Raises FormulaError naming the cell.
    """
    position = 0
    for cell in nb.cells:
        if "injected-parameters" not in cell.metadata.get("tags", []):
            position += 1
        cell.metadata["position"] = position
    site = {
        "source": source.resolve(),
        "out": out.resolve(),
        "pages": {f"{name}.ipynb" for name, _ in series},
        "contents": [],
        "failed_cell": nb.metadata.get("kdutils", {}).get("failed_cell"),
    }
    body, resources = _exporter().from_notebook_node(nb, {"site": site})
    # What scrolls must be reached by the keyboard; an empty corner of a table is no heading.
    body = body.replace("<pre>", '<pre tabindex="0">').replace("<th></th>", "<td></td>")
    contents = resources["site"]["contents"]  # filled while the text was rendered
    return _wrap(
        "notebook.html.j2",
        title=heading,
        body=body,
        contents=[entry for entry in contents if entry["level"] in {2, 3}],
        run=nb.metadata.get("kdutils", {}),
        before=series[here - 1] if here > 0 else None,
        after=series[here + 1] if here + 1 < len(series) else None,
    )


def failed_page(message: str, *, heading: str) -> str:
    """A page that says why a notebook could not be shown."""
    run = {"status": "failed", "error": message}
    body = f"<h1>{html.escape(heading)}</h1>"
    return _wrap("notebook.html.j2", title=heading, body=body, contents=[], run=run)


def index_page(rows: Sequence[Mapping], results: Mapping, versions: Mapping[str, str]) -> str:
    """The first page: one row a notebook, data frames of results under their headings, versions."""
    tables = {
        heading: {"columns": list(frame.columns), "rows": frame.to_dict("records")}
        for heading, frame in results.items()
    }
    return _wrap("index_page.html.j2", rows=rows, results=tables, versions=versions)


def _wrap(template: str, **values) -> str:
    return _exporter().environment.get_template(template).render(**values)
