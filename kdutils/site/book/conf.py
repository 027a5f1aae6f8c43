"""What Sphinx is told: executed notebooks in, pages that open from a disk and need no network out.

`kdutils.site.book` writes the sources; here they become HTML.
"""

import itertools
import re
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError

from kdutils.site.formulas import FormulaError, mathml

project = html_title = "Knowledge distillation, measured"
author = "the kdutils authors"
language = "en"
extensions = ["myst_nb", "sphinx_copybutton"]
nb_execution_mode = "off"  # notebooks come with their outputs
nb_render_markdown_format = "myst"  # Markdown that a cell shows may hold formulas
nb_output_stderr = "show"
nb_merge_streams = True
nb_code_prompt_show, nb_code_prompt_hide = "Show the code", "Hide the code"
myst_enable_extensions = ["amsmath", "attrs_inline", "dollarmath"]
myst_heading_anchors = 4
nitpicky = True  # a link to a page that is not there is a warning, and every warning an error

html_theme = "furo"
html_theme_options = {"navigation_with_keys": False}
html_static_path = ["_static"]
html_extra_path = ["_extra"]
html_css_files, html_js_files = ["course.css"], ["course.js"]
html_math_renderer = "mathml"
html_copy_source = html_show_sourcelink = html_show_sphinx = html_show_copyright = False
html_show_search_summary = False  # it would be fetched, which a page on a disk must not do
html_use_index = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
copybutton_selector = "div.cell_input div.highlight pre"

# Pages as a keyboard and a screen reader want them: what scrolls can be reached, labels say what
# stands there, the empty corner of a table is no heading.
_MENDED = {
    '<div class="highlight"><pre>': '<div class="highlight"><pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    'class="output text_html">': 'class="output text_html" tabindex="0">',
    '<summary aria-label="Toggle hidden content">': "<summary>",
    "<th></th>": "<td></td>",
}


def _formula(writer, node: nodes.Element, display: bool) -> None:
    try:
        made = mathml(node.astext(), display)
    except FormulaError as error:
        # myst-nb counts 10,000 lines a cell
        place = f"{Path(node.source or '').name}, cell {(node.line or 0) // 10_000}"
        raise ExtensionError(f"{place}: {error}") from error
    if display:
        made = f'<div class="formula" tabindex="0" role="group" aria-label="Formula">{made}</div>'
    writer.body.append(made)
    raise nodes.SkipNode


def _finish(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Mend the theme's HTML and put an anchor at each code cell."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace(
        ' role="heading"', ' role="heading" aria-level="2"'
    )
    body, count = context.get("body") or "", itertools.count(1)
    for found, better in _MENDED.items():
        body = body.replace(found, better)
    cell = re.compile('<div class="cell ')
    context["body"] = cell.sub(lambda _: f'<div id="code-{next(count)}" class="cell ', body)


def setup(app) -> None:
    app.add_html_math_renderer(
        "mathml",
        (lambda writer, node: _formula(writer, node, False), None),
        (lambda writer, node: _formula(writer, node, True), None),
    )
    app.connect("html-page-context", _finish, priority=900)  # after the theme
