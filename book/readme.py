"""The generated parts of the README: results, and measured times.

In: `data/times.json`, records, the README between its markers. Out: the same README with those
parts written anew. `python -m kdutils readme` calls it; a test holds it up to date.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import nbformat

from kdutils import ROOT, experiments
from kdutils.commands.results import headlines

from . import series

README = ROOT / "README.md"
TIMES = ROOT / "data" / "times.json"


def record_times(report: Path) -> list[str]:
    """Take over how long each notebook of a report took: the lines that say so.

    report: the folder that `report` wrote. A notebook that failed is left out, and
    one that ran with parameters of its own.
    """
    recorded = times()
    said = []
    for path in sorted((report / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        meta = nbformat.read(path, as_version=4).metadata["kdutils"]
        if meta["error"] is not None or meta["parameters"].keys() - {"PROFILE"}:
            continue
        profile, seconds = meta["parameters"].get("PROFILE", "laptop"), round(meta["seconds"])
        entry = {"seconds": seconds, "device": meta["device"]}
        recorded.setdefault(path.stem[:2], {})[profile] = entry
        said.append(f"{path.stem}: {seconds} s on profile {profile}")
    TIMES.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    return said


def times() -> dict[str, dict[str, dict]]:
    """Seconds and device of each chapter (two digits) and profile, as last recorded."""
    return json.loads(TIMES.read_text()) if TIMES.exists() else {}


def notebook_table() -> str:
    """Markdown: every notebook, its title, minutes to read, and what it took on each profile."""
    recorded = times()
    lines = ["| notebook | to read | smoke | laptop, from records |", "|---|---|---|---|"]
    for chapter in series.find():
        path, taken = chapter.path, recorded.get(chapter.number, {})
        cells = [f"{taken[p]['seconds']} s" if p in taken else "–" for p in ("smoke", "laptop")]
        title = experiments.chapter(chapter.number).TITLE
        name = f"[{chapter.number} {title}](notebooks/{path.name})"
        lines.append(f"| {name} | {chapter.minutes} min | {' | '.join(cells)} |")
    devices = sorted({t["device"] for taken in recorded.values() for t in taken.values()})
    if devices:
        said = (
            "Seconds a notebook, kernel start included; two run at once, where none measures time"
        )
        lines += ["", f"{said}. On: {'; '.join(devices)}."]
    return "\n".join(lines)


def headline_table() -> str:
    """Markdown: `headlines`, each with a link to its chapter."""
    names = {p.stem[:2]: p.name for p in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")}
    lines = ["| result | published | ours | n | verdict | chapter |", "|---|---|---|---|---|---|"]
    for r in headlines():
        link = f"[{r['chapter']}](notebooks/{names[r['chapter']]})"
        cells = r["what"], r["published"], r["ours"], r["n"], r["verdict"], link
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def with_blocks(text: str, blocks: Iterable[tuple[str, str]]) -> str:
    """The text with what stands between `<!-- NAME -->` and `<!-- /NAME -->` replaced.

    Raises ValueError for a block without its two markers.
    """
    for name, body in blocks:
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"the README has no pair of markers <!-- {name} --> <!-- /{name} -->.")
        text = pattern.sub(lambda m, body=body: f"{m[1]}{body}\n{m[2]}", text)
    return text


def fresh() -> str:
    """The README as it should be now."""
    blocks = [("notebooks", notebook_table()), ("results", headline_table())]
    return with_blocks(README.read_text(encoding="utf-8"), blocks)


def write(check: bool = False, times: Path | None = None) -> list[str]:
    """Write the README anew; what changed, in lines. With `check` nothing is written.

    times: the folder of a report whose times are taken over first.
    """
    said = record_times(times) if times and not check else []
    new = fresh()
    if new == README.read_text(encoding="utf-8"):
        return said
    if check:
        return ["README.md is not what the records say. Run `python -m kdutils readme`."]
    README.write_text(new, encoding="utf-8")
    return [*said, "README.md is written anew."]
