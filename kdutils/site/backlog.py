"""What the course lacks and what it has to commit, from all arms of all chapters.

In: a chapter's number or None, a profile, seeds. Out: records, trained or copied.
"""

import math
from collections.abc import Sequence

from kdutils import experiments, knowledge, runs
from kdutils.recipes import Recipe
from kdutils.site import series
from kdutils.store import Store

# seeds: enough for a row beside a published value, and for any row
PUBLISHED, ANY = 5, 3


def wanted(number: str | None, profile: str, seeds: Sequence[int]) -> list[Recipe]:
    """The runs of a chapter, or of all, in the order in which they are worth training: arms with a
    published value up to five seeds, then every arm up to three, then the rest; of each class the
    cheapest first. Raises ValueError for a chapter that does not exist."""
    ranks: dict[Recipe, int] = {}
    for chapter in [number] if number else experiments.chapters():
        for arm in experiments.arms(chapter, profile):
            published = any(value is not None for value in arm.metrics.values())
            for count, recipe in enumerate(arm.recipes(seeds)):
                rank = 0 if published and count < PUBLISHED else 1 if count < ANY else 2
                ranks[recipe] = min(rank, ranks.get(recipe, 2))
    cost = runs.costs(ranks)
    return sorted(ranks, key=lambda recipe: (ranks[recipe], cost.get(recipe, math.inf)))


def train(
    number: str | None, profile: str, seeds: str | None, jobs: int, minutes: float | None
) -> list[str]:
    """Train what is wanted and not recorded, no run begun after `minutes`; how far that went."""
    own = experiments.get_profile(profile).seeds
    recipes = wanted(number, profile, own if seeds is None else series.parse_seeds(seeds))
    store = Store()
    # what a chapter registers must be known to the processes that train it
    prepare = experiments.chapters if jobs > 1 else None
    runs.run_all(recipes, store=store, jobs=jobs, minutes=minutes, prepare=prepare)
    have = sum(store.get(recipe) is not None for recipe in recipes)
    what = f"chapter {number}" if number else "the course"
    return [f"The store holds {have} of the {len(recipes)} runs of {what}."]


def publish(number: str | None, profile: str) -> list[str]:
    """Copy records, and what teachers say, to the committed layer; a line a file, and a last."""
    store, written = Store(), []
    for chapter in [number] if number else experiments.chapters():
        for arm in experiments.arms(chapter, profile):
            recipes = arm.recipes(experiments.get_profile(profile).seeds)
            written += store.publish(recipes, keep_logits=arm.keep_logits)
            written += knowledge.publish(arm.recipe, store)
    where = f"{store.published} and {store.published_knowledge}"
    return [*(path.name for path in written), f"{len(written)} files are new in {where}."]
