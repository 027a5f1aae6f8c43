"""One row of a results table: a recipe and the figures that it is held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..recipes import Recipe


@dataclass(frozen=True)
class Arm:
    """One row of a results table.

    table: the table it belongs to. metrics: which of a record's metrics are shown, each with its
    published value or None. source: where the published values stand. select: arms of one table
    with the same `select` differ in a setting (`setting`) that validation chooses. once: a run
    that others build on and that is too dear for every seed, such as a teacher.
    """

    notebook: int
    table: str
    name: str
    recipe: Recipe
    metrics: Mapping[str, float | None] = field(default_factory=lambda: {"test_errors": None})
    source: str = ""
    select: str = ""
    setting: str = ""
    keep_logits: bool = False
    once: bool = False

    def seeds(self, seeds: Sequence[int]) -> Sequence[int]:
        """Those of a profile's seeds that this arm is run at: all, or its recipe's own alone."""
        return (self.recipe.seed,) if self.once else seeds
