"""The report: notebooks executed now, and their book.

In: which notebooks, parameters. Out: the executed notebooks and the pages of the whole series.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from book import build, series
from kdutils import experiments

REPORT = series.BUILD / "report"


def report(more, only, profile, settings, seeds, out) -> int:
    """Run the notebooks and make their book; 1 if a notebook failed, else 0."""
    values = {"PROFILE": profile} | series.parse(settings)
    if seeds is not None:
        values["SEEDS"] = experiments.parse_seeds(seeds)
    return min(1, run(values, only=[*only, *more], out=out or REPORT))


def run(
    values: Mapping[str, object],
    *,
    only: Iterable[str | int] | None = None,
    folder: Path = series.FOLDER,
    out: Path = REPORT,
    say: Callable[[str], None] = lambda line: print(line, flush=True),
) -> int:
    """Run the notebooks (`only`: those numbers) and make the book; the number that failed.

    `values` are set in every one of them and are checked for all of them before the first runs:
    ValueError if a notebook lacks a parameter or a value cannot be meant. The next ones still run
    after one that fails; its page ends with the failing cell. Notebooks of earlier calls stay; of
    what was never run, the book shows the notebook as it was saved, which its banner says.
    """
    chosen = series.choose(only, folder)
    series.check(chosen, values)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file. Name a folder to write to, new or old.")
    failed = []
    try:
        with series.this_interpreter():
            for notebook, ran in _executed(chosen, values, out / "notebooks"):
                took = f"{ran['seconds']:.1f} s"
                if ran["error"]:
                    failed.append(notebook.number)
                    took = f"FAILED after {took} in {ran['error']}"
                say(f"{notebook.path.stem}: {took}")
    finally:
        build.render(folder, out / "notebooks", out)
    say(f"What ran now, profile {values.get('PROFILE')}: {(out / 'index.html').resolve()}")
    say("The recorded results on real data, from this repository alone: make book")
    if failed:
        ran = len(chosen) - len(failed)
        say(f"{ran} of {len(chosen)} notebooks ran; failed: {', '.join(failed)}.")
    return len(failed)


def _executed(
    notebooks: Sequence[series.Notebook], values: Mapping[str, object], folder: Path
) -> Iterator[tuple[series.Notebook, dict]]:
    """Each notebook with what `series.execute` says of it.

    Two at once, with half of the threads each. One at a time where a chapter measures time
    (`MEASURES_TIME`), and where much may be trained.
    """

    def execute(notebook: series.Notebook) -> dict:
        return series.execute(notebook, folder / notebook.path.name, values)

    cores, chapters = os.cpu_count() or 1, experiments.chapters()
    all_alone = cores == 1 or values.get("TRAIN")
    timed = {n for n, chapter in chapters.items() if getattr(chapter, "MEASURES_TIME", False)}
    together = [n for n in notebooks if not (all_alone or n.number in timed)]
    before = os.environ.get("OMP_NUM_THREADS")
    with ThreadPoolExecutor(2) as pool:
        if len(together) > 1:
            os.environ["OMP_NUM_THREADS"] = str(cores // 2)
        try:
            yield from zip(together, pool.map(execute, together), strict=True)
        finally:
            pool.shutdown(cancel_futures=True)  # where it was stopped, no further one begins
            os.environ.pop("OMP_NUM_THREADS", None)
            os.environ |= {"OMP_NUM_THREADS": before} if before else {}
    for notebook in notebooks:
        if notebook not in together:
            yield notebook, execute(notebook)
