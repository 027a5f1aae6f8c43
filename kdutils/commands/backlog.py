"""What the course lacks and what it has to commit, from all arms of all chapters.

In: a chapter's number or None, a profile, seeds. Out: records, trained or copied.
"""

import math
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from kdutils import data, experiments, runs
from kdutils.knowledge import Knowledge
from kdutils.recipes import Recipe
from kdutils.store import Store

# seeds: enough for a row beside a published value, and for any row
PUBLISHED, ANY = 5, 3
LAST = 3  # the last class in the order of `wanted`
KNOWLEDGE_BYTES = 4_000_000  # a teacher's share of the repository
KNOWLEDGE_VIEWS = 8  # 45,000 images x 10 classes x 8 views, a byte each: 3.6 MB


def wanted(number: str | None, profile: str, seeds: Sequence[int]) -> list[Recipe]:
    """The runs of a chapter, or of all, in the order in which they are worth training: arms with a
    published value up to five seeds, then every arm up to three, then the rest, last what needs a
    download; of each class the cheapest first. Raises ValueError for a chapter that does not exist.
    """
    ranks: dict[Recipe, int] = {}
    for chapter in [number] if number else experiments.chapters():
        for arm in experiments.arms(chapter, profile):
            published = any(value is not None for value in arm.metrics.values())
            for count, recipe in enumerate(arm.recipes(seeds)):
                rank = 0 if published and count < PUBLISHED else 1 if count < ANY else 2
                rank = LAST if arm.optional else rank
                ranks[recipe] = min(rank, ranks.get(recipe, LAST))
    cost = runs.costs(ranks, Store())
    return sorted(ranks, key=lambda recipe: (ranks[recipe], cost.get(recipe, math.inf)))


def train(
    number: str | None, profile: str, seeds: str | None, jobs: int, minutes: float | None
) -> list[str] | int:
    """Train what is wanted and not recorded, no run begun after `minutes`: how far that went, or 1
    where one of several processes failed, which has said why."""
    own = experiments.get_profile(profile).seeds
    recipes = wanted(number, profile, own if seeds is None else experiments.parse_seeds(seeds))
    store, options = Store(), {"--profile": profile, "--seeds": seeds, "--minutes": minutes}
    if jobs == 1:
        runs.run_all(recipes, store, minutes)
    elif todo := runs.plan(recipes, store):
        given = [f"{name}={value}" for name, value in options.items() if value is not None]
        if any(_at_once(min(jobs, len(todo)), ["run", *filter(None, [number]), *given])):
            return 1
    have = sum(store.get(recipe) is not None for recipe in recipes)
    what = f"chapter {number}" if number else "the course"
    return [f"The store holds {have} of the {len(recipes)} runs of {what}."]


def _at_once(jobs: int, arguments: list[str]) -> list[int]:
    """Run one command in several processes, each with its share of the cores: their exit statuses.

    They need no word of each other: `run_all` passes over what another process trains.
    """
    print(f"That is the time of one process; {jobs} share it.", flush=True)
    share = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)), "TQDM_DISABLE": "1"}
    command = [sys.executable, "-m", "kdutils", *arguments]
    # their plan, on stdout, has been said; what they have trained they say on stderr
    where = {"env": os.environ | share, "stdout": subprocess.DEVNULL}
    started = [subprocess.Popen(command, **where) for _ in range(jobs)]
    try:
        return [process.wait() for process in started]
    finally:
        for process in started:  # Ctrl-C has reached them, a signal to this one alone has not
            process.terminate()
            process.wait()


def publish(number: str | None, profile: str) -> list[str]:
    """Copy records, and what teachers say, to the committed layer; a line a file, and a last."""
    store, written = Store(), []
    for chapter in [number] if number else experiments.chapters():
        for arm in experiments.arms(chapter, profile):
            recipes = arm.recipes(experiments.get_profile(profile).seeds)
            kept = {"logits": arm.keep_logits, "weights": arm.keep_weights}
            written += publish_records(recipes, store, {k for k, keep in kept.items() if keep})
            written += publish_knowledge(arm.recipe, store)
    where = f"{store.published} and {store.published_knowledge}"
    return [*(path.name for path in written), f"{len(written)} files are new in {where}."]


def publish_records(
    recipes: Iterable[Recipe], store: Store, keep: Collection[str] = ()
) -> list[Path]:
    """Copy these recipes' records, once checked, to the committed layer: the files written.

    keep: of "logits" and "weights", what goes with them. A record that is committed already is
    replaced only by itself, with files that it lacked.
    """
    local, committed = (Store(folder, folder) for folder in (store.local, store.published))
    written = []
    for recipe in dict.fromkeys(recipes):
        if (record := local.get(recipe)) is None:
            continue
        there, files, new = committed.get(recipe), {}, []
        for kind in ("logits", "weights"):
            files[kind] = getattr(committed, kind)(recipe)
            if kind in keep and not files[kind] and (found := getattr(local, kind)(recipe)):
                files[kind] = found
                new.append(kind)
        if there is None or (new and there == record):
            committed.put(record, **files)
            written.append(store.published / f"{recipe.id}.json")
            written += [store.published / f"{recipe.id}.{kind}.safetensors" for kind in new]
    return written


def _of_all(wanted: Recipe, recipe: Recipe, store: Store) -> Recipe:
    """`wanted`, if its teacher's answers are stored, else the recipe of fewer images."""
    known = Knowledge(wanted, data.load(wanted.dataset), store)
    return wanted if known.complete else recipe


def publish_knowledge(recipe: Recipe, store: Store) -> list[Path]:
    """Copy a recipe's stored knowledge to the committed layer: the files written, one a teacher.

    It speaks of the images that the teacher learned from; where the answers about all of those are
    not stored, or it is a teacher of another data set, of the student's. What is too large is
    reduced to eight views in eight bits; where that does not fit either, a ValueError.
    """
    if not recipe.n_views or not recipe.teachers:
        return []
    if len(recipe.teachers) > 1:  # each has a file of its own
        alone = (replace(recipe, teacher=(t,), ensemble="logits") for t in recipe.teachers)
        return [path for one in alone for path in publish_knowledge(one, store)]
    if recipe.teachers[0].dataset == recipe.dataset:
        recipe = _of_all(replace(recipe, n_train=recipe.teachers[0].n_train), recipe, store)
    if recipe.n_views * (recipe.bits // 8) > KNOWLEDGE_VIEWS:
        recipe = replace(recipe, n_views=min(recipe.n_views, KNOWLEDGE_VIEWS), bits=8)
    known = Knowledge(recipe, data.load(recipe.dataset), store)
    # one file a teacher: students of fewer views read their part of it
    if any(store.published_knowledge.glob(known.name("*", "*"))) or not known.complete:
        return []
    path = store.published_knowledge / known.name(recipe.n_views, recipe.bits)
    if (size := sum(values.nbytes for values in known.file.tensors.values())) > KNOWLEDGE_BYTES:
        raise ValueError(
            f"{path.name} would hold {size:,} bytes; at most {KNOWLEDGE_BYTES:,} a teacher are "
            "committed. Store fewer views."
        )
    known.write(path, known.file)
    return [path]
