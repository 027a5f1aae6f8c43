"""The benchmark among the course's experiments, as a command.

In: which parts, how often. Out: its tables, and its JSON under `build/`.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path

from kdutils import experiments


def bench(more: Sequence[str], only: Sequence[str], out: Path | None, **options) -> list[str]:
    """Run the parts `only` and `more` (none: all) and write `out`; the tables as lines."""
    experiments.chapters()  # from here on `notebooks/experiments` can be imported
    speed = importlib.import_module("experiments.bench")
    result = speed.run([*only, *more] or None, out=out, **options)
    return [speed.tables(result), "", f"Written to {out or speed.OUT}."]
