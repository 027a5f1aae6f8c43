"""What Sphinx is told: executed notebooks in, pages that need neither server nor network out."""

import html
import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from latex2mathml.converter import convert
from sphinx.errors import ExtensionError

project = html_title = "Knowledge distillation, measured"
extensions, exclude_patterns = ["myst_nb", "sphinx_copybutton"], ["_extra", "*.py"]
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}  # the solutions
suppress_warnings = ["myst-nb.lexer"]  # of one without a header: it is shown without colours
nb_execution_mode, nb_output_stderr, nb_merge_streams = "off", "show", True
nb_render_markdown_format = "myst"  # Markdown that a cell shows may hold formulas
nb_code_prompt_show, nb_code_prompt_hide = "Show the code", "Hide the code"
myst_enable_extensions = ["amsmath", "attrs_inline", "dollarmath"]
myst_heading_anchors = 4
nitpicky = True  # a link to a page that is not there is a warning, and every warning an error
html_theme, html_theme_options = "furo", {"navigation_with_keys": False}
templates_path, html_static_path, html_extra_path = ["_templates"], ["_static"], ["_extra"]
html_css_files, html_js_files, html_math_renderer = ["course.css"], ["course.js"], "mathml"
html_copy_source = html_show_sourcelink = html_show_sphinx = html_show_copyright = False
html_show_search_summary = html_use_index = False  # the one would be fetched: not from a disk
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
copybutton_selector = "div.cell_input div.highlight pre"

# As a keyboard and a screen reader want it: what scrolls can be reached, labels say what is there.
_MENDED = {
    '<div class="highlight"><pre>': '<div class="highlight"><pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
    'class="output text_html">': 'class="output text_html" tabindex="0">',
    '<summary aria-label="Toggle hidden content">': "<summary>",
}


def _formula(writer, node: nodes.Element, display: bool) -> None:
    """A LaTeX formula as MathML, with the LaTeX as its text for who cannot see it."""
    latex = node.astext().strip()
    try:
        # refuses what the better typesetter, next, passes on without a word
        tex2mathml(re.sub(r"\{align\*?\}", "{aligned}", latex))
        if (bare := re.sub(r"\\[{}]", "", latex)).count("{") != bare.count("}"):
            raise ValueError("its braces do not pair")
        made = convert(latex, display="block" if display else "inline")
        ElementTree.fromstring(made)
    except Exception as error:  # both raise many kinds; myst-nb counts 10,000 lines a cell
        place = f"{Path(node.source or '').name}, cell {(node.line or 0) // 10_000}"
        raise ExtensionError(f"{place}: the formula `{latex}` cannot be shown: {error}") from error
    made = made.replace("<math ", f'<math alttext="{html.escape(latex)}" ', 1)
    if display:
        made = f'<div class="formula" tabindex="0" role="group" aria-label="Formula">{made}</div>'
    writer.body.append(made)
    raise nodes.SkipNode


def _finish(app, pagename: str, templatename: str, context: dict, doctree) -> None:
    """Mend the theme's HTML and put an anchor at each code cell."""
    body, count = context.get("body") or "", itertools.count(1)
    for found, better in _MENDED.items():
        body = body.replace(found, better)
    cell = re.compile('<div class="cell ')
    context["body"] = cell.sub(lambda _: f'<div id="code-{next(count)}" class="cell ', body)


def setup(app) -> None:
    inline, block = ((lambda *a, d=d: _formula(*a, d), None) for d in (False, True))
    app.add_html_math_renderer("mathml", inline, block)
    app.connect("html-page-context", _finish, priority=900)  # after the theme
