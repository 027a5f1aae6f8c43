"""What the course lacks and what it has to commit, from all arms of all chapters.

In: a chapter's number or None, a profile, seeds. Out: records, trained or copied.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from multiprocessing import connection, get_context, parent_process
from pathlib import Path

import torch
from tqdm import tqdm

from kdutils import data, experiments, runs
from kdutils.knowledge import Knowledge
from kdutils.recipes import Recipe
from kdutils.site import series
from kdutils.store import Record, Store

# seeds: enough for a row beside a published value, and for any row
PUBLISHED, ANY = 5, 3
KNOWLEDGE_BYTES = 4_000_000  # a teacher's share of the repository
KNOWLEDGE_VIEWS = 8  # 45,000 images x 10 classes x 8 views, a byte each: 3.6 MB


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
    if jobs > 1:
        train_at_once(recipes, store, jobs, minutes)
    else:
        runs.run_all(recipes, store, minutes=minutes)
    have = sum(store.get(recipe) is not None for recipe in recipes)
    what = f"chapter {number}" if number else "the course"
    return [f"The store holds {have} of the {len(recipes)} runs of {what}."]


def train_at_once(
    recipes: list[Recipe], store: Store, jobs: int, minutes: float | None = None
) -> None:
    """Train in several processes, each with its share of the cores; say a line for each run.

    They need no word of each other: `run_all` passes over what another process trains. Raises
    ChildProcessError where one of them failed; the others are stopped then.
    """
    todo = runs.plan(recipes, store)
    spawn = get_context("spawn")  # a forked process would inherit this one's threads and its GPU
    share = max(1, (os.cpu_count() or 1) // jobs), recipes, store, minutes
    waiting, workers = [*todo], []
    try:
        for _ in range(min(jobs, len(todo))):
            workers.append(spawn.Process(target=_work, args=share, daemon=True))
            workers[-1].start()
        if workers:
            print(f"That is the time of one process; {len(workers)} share them.", flush=True)
        with runs.progress(todo) as bar:
            while workers:
                time.sleep(0.5)
                running = [worker for worker in workers if worker.is_alive()]
                for recipe in [*waiting]:
                    if record := runs.made_here(recipe, store):
                        waiting.remove(recipe)
                        tqdm.write(f"{len(todo) - len(waiting)}/{len(todo)} {_said(record)}")
                        bar.update(todo[recipe])
                if any(worker.exitcode for worker in workers):
                    raise ChildProcessError("a process failed; what it said stands above.")
                workers = running
    finally:
        for worker in workers:
            worker.kill()  # its checkpoint is a few seconds old
            worker.join()
        store.sweep()


def _said(record: Record) -> str:
    score = record.failure or f"{record.metrics['val_accuracy']:.2f} % on validation"
    return f"{record.id}: {score}, {record.seconds:.0f} s"


def _work(threads: int, recipes: list[Recipe], store: Store, minutes: float | None) -> None:
    """One of several processes; it ends with the one that started it, however that ended."""

    def follow() -> None:
        connection.wait([parent_process().sentinel])
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides
    threading.Thread(target=follow, daemon=True).start()
    torch.set_num_threads(threads)
    experiments.chapters()  # registers what its chapters name
    runs.run_all(recipes, store, quiet=True, minutes=minutes)


def publish(number: str | None, profile: str) -> list[str]:
    """Copy records, and what teachers say, to the committed layer; a line a file, and a last."""
    store, written = Store(), []
    for chapter in [number] if number else experiments.chapters():
        for arm in experiments.arms(chapter, profile):
            recipes = arm.recipes(experiments.get_profile(profile).seeds)
            written += publish_records(recipes, store, arm.keep_logits)
            written += publish_knowledge(arm.recipe, store)
    where = f"{store.published} and {store.published_knowledge}"
    return [*(path.name for path in written), f"{len(written)} files are new in {where}."]


def publish_records(
    recipes: Iterable[Recipe], store: Store, keep_logits: bool = False
) -> list[Path]:
    """Copy these recipes' records, once checked, to the committed layer: the files written.

    A record that is committed already is replaced only by itself, with logits that it lacked.
    """
    local, committed = (Store(folder, folder) for folder in (store.local, store.published))
    written = []
    for recipe in dict.fromkeys(recipes):
        if (record := local.get(recipe)) is None:
            continue
        logits = local.logits(recipe) if keep_logits else None
        there, lacked = committed.get(recipe), logits and not committed.logits(recipe)
        if there is None or (lacked and there == record):
            committed.put(record, logits)
            names = [f"{recipe.id}.json", f"{recipe.id}.logits.safetensors"]
            written += [store.published / name for name in (names if logits else names[:1])]
    return written


def publish_knowledge(recipe: Recipe, store: Store) -> list[Path]:
    """Copy a recipe's stored knowledge to the committed layer: the files written, one or none.

    It speaks of the images that the teacher learned from. What is too large is reduced to eight
    views in eight bits; where that does not fit either, a ValueError.
    """
    if not recipe.n_views or not recipe.teachers:
        return []
    recipe = replace(recipe, n_train=recipe.teachers[0].n_train)
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
