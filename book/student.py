"""The notebooks as a student gets them: `your-turn` cells have a blank where a solution stands.

In: `notebooks/NN_name.py`. Out: `build/student/NN_name.ipynb`, without outputs.
"""

import json
import re
from pathlib import Path

import jupytext
import nbformat

from book import pairs, series

OUT = series.BUILD / "student"
_SOLUTION = re.compile(r"^([ \t]*)# your turn: (.+?)\n.*?^\1# end[ \t]*$", re.M | re.S)


def blank(source: str) -> str:
    """The code of a cell with each solution replaced by an error that says what to write.

    A solution stands between `# your turn: ...` and `# end`; ValueError for code without one.
    """
    if not _SOLUTION.search(source):
        first = source.strip().partition("\n")[0]
        raise ValueError(
            f"the cell that begins with {first!r} is tagged your-turn and has no solution between "
            "`# your turn: what to write` and `# end`, both as far indented."
        )

    def hole(found: re.Match) -> str:
        indent, task = found[1], found[2].strip()
        said = json.dumps(f"your turn: {task}", ensure_ascii=False)
        return f"{indent}# your turn: {task}\n{indent}raise NotImplementedError({said})"

    return _SOLUTION.sub(hole, source)


def write(folder: Path = series.FOLDER, out: Path = OUT) -> list[str]:
    """Write every notebook of the folder with blanks; a line on each. A file that is there stays:
    a student has worked in it."""
    out.mkdir(parents=True, exist_ok=True)
    said = []
    for path in sorted(folder.glob("[0-9][0-9]_*.py")):
        target = out / f"{path.stem}.ipynb"
        if target.exists():
            said.append(f"{target.name}: kept as it is; delete it for a new copy")
            continue
        nb, blanks = jupytext.read(path, fmt=pairs.FORMAT), 0
        for cell in nb.cells:
            pairs.fold(cell, {"hide-input"})
            cell.metadata.pop("lines_to_next_cell", None)
            if "your-turn" in cell.metadata.get("tags", ()):
                cell.source, blanks = blank(cell.source), blanks + 1
        nb.metadata.pop("jupytext", None)  # no pair: what a student writes is in the .ipynb alone
        nbformat.write(nb, target)
        said.append(f"{target.name}: {blanks} of your turns")
    return [*said, str(out)]
