"""LaTeX formulas as MathML, which browsers show and read aloud without a script.

In: a formula. Out: a `<math>` element, or FormulaError.
"""

import html
import re
from xml.etree import ElementTree

from latex2mathml.converter import convert

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
