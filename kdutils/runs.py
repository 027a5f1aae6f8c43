"""Recipes in, records out.

`run` trains one recipe unless the store has its record; `run_all` does so for many and shows how
far it is. Several processes may do so at once: who trains a recipe holds its lock.
"""

import datetime
import math
import os
import platform
import re
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from statistics import median

import pandas as pd
import torch
from filelock import Timeout
from torch import nn
from tqdm import tqdm

from . import __version__, data, metrics, models
from .knowledge import Knowledge
from .recipes import Recipe
from .store import Record, Store
from .training import (
    Interrupted,
    NotFinite,
    OnStep,
    build_net,
    check,
    fit,
    has_bfloat16,
    pick_device,
    predict,
)

IMAGES = {"mnist": 55_000, "cifar10": 45_000, "cifar100": 45_000, "digits": 1_100}
SHOWN_SECONDS = 0.2  # between two states of the bar


def device_name(device: torch.device) -> str:
    """What a record says it ran on: the GPU's or the processor's name, and what that lacks."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    listed = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", listed.read_text() if listed.exists() else "")
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"CPU ({name}{'' if has_bfloat16('cpu') else ', no bfloat16'})"


def run(recipe: Recipe, store: Store) -> Record:
    """The record of a recipe: from the store, or from training it (and first its teachers).

    A loss that is not finite gives a record without metrics whose `failure` says where.
    """
    if store.get(recipe) is None:
        _ensure(recipe, store)
    return store.get(recipe)


def trained(recipe: Recipe, store: Store) -> nn.Module:
    """The network that a recipe leads to, in evaluation mode: loaded, or trained.

    It is trained again where only a record was committed. Raises ValueError where that failed.
    """
    _ensure(recipe, store)
    if (weights := store.weights(recipe)) is None:
        raise ValueError(f"{recipe.id} has no network to load: {store.get(recipe).failure}")
    net = build_net(recipe, data.load(recipe.dataset))
    net.load_state_dict(weights)
    return net.eval().to(pick_device())


def knowledge_of(recipe: Recipe, store: Store) -> Knowledge | None:
    """What a student learns from, or None without a teacher; networks only where they are asked."""
    if not recipe.needs_teacher:
        return None
    known = Knowledge(recipe, data.load(recipe.dataset), store, device=pick_device())
    for part in known.members or [known]:
        if recipe.looks_inside or not part.complete:
            part.nets = [trained(teacher, store) for teacher in part.recipe.teachers]
    return known


def _ensure(recipe: Recipe, store: Store, wait: float = -1, on_step: OnStep | None = None) -> None:
    """Train it unless the network is here, or has failed; wait: as the timeout of `Store.lock`."""

    def kept() -> bool:
        record = store.get(recipe)
        return bool(record and (record.failure or store.weights(recipe)))

    if not kept():
        with store.lock(recipe.id, wait):
            if not kept():  # nor has another process trained it meanwhile
                _train(recipe, store, on_step)


def _train(recipe: Recipe, store: Store, on_step: OnStep | None) -> None:
    """Train, measure, record and, outside notebooks, say a line; the recipe's lock is held."""
    dataset, device = data.load(recipe.dataset), pick_device()
    check(recipe, dataset, device)  # before its teachers are trained
    known = knowledge_of(recipe, store)
    checkpoint = store.local / "checkpoints" / f"{recipe.id}.ckpt"
    result, tensors = {"curve": [], "metrics": {}, "seconds": 0.0}, ()
    if known and recipe.n_views:
        known.lesson(0)  # stored for all runs: the time it takes is not this run's
    try:
        teacher = known.nets[0] if recipe.looks_inside else None
        fitted = fit(recipe, dataset, known and known.lesson, checkpoint, device, on_step, teacher)
    except NotFinite as problem:
        said = result["failure"] = str(problem)
    except torch.cuda.OutOfMemoryError as problem:
        raise MemoryError(
            f"{recipe.id} does not fit into the memory of {device_name(device)} at batch_size "
            f"= {recipe.batch_size}. Try {max(1, recipe.batch_size // 2)}."
        ) from problem
    else:
        splits = {"val": dataset.val, "test": dataset.test}
        labels = {name: split.labels for name, split in splits.items()}
        # measured from what is stored, so that stored logits give the same numbers again
        logits = {
            name: predict(fitted.net, split.images, dataset).half().float()
            for name, split in splits.items()
        }
        teacher = known and known.on_test()
        if teacher is not None and teacher.shape != logits["test"].shape:
            teacher = None  # of other classes: to agree with it has no meaning
        measured = metrics.measure(logits, labels, teacher, recipe.without_classes)
        measured |= metrics.by_epoch(fitted.curve, len(dataset.test))
        seconds = round(fitted.seconds, 2)
        result = {"curve": fitted.curve, "metrics": measured, "seconds": seconds}
        tensors = logits, fitted.net.state_dict()
        said = f"{recipe.id}: {measured['val_accuracy']:.2f} % on validation, {seconds:.0f} s"
    record = Record(
        recipe=recipe,
        device=device_name(device),
        threads=torch.get_num_threads(),
        parameters=models.count_parameters(build_net(recipe, dataset)),
        recorded=datetime.date.today().isoformat(),
        versions={
            "kdutils": __version__,
            "torch": torch.__version__.split("+")[0],
            "python": platform.python_version(),
        },
        note=_note(recipe),
        **result,
    )
    store.put(record, *tensors)
    if not _in_notebook():
        tqdm.write(said, file=sys.stderr)


def _note(recipe: Recipe) -> str | None:
    """What a reader of the record has to know."""
    notes = []
    if 0 < recipe.n_views < recipe.epochs:
        notes.append(
            f"{recipe.epochs} epochs over {recipe.n_views} stored views, used in turn: each view "
            f"was seen {recipe.epochs // recipe.n_views} times or once more."
        )
    if recipe.precision == "bfloat16" and not has_bfloat16(pick_device().type):
        notes.append("In float32: this processor has no instructions for bfloat16.")
    if not recipe.recognisable:
        notes.append(
            "Something registered in this recipe was typed at a prompt, where its source cannot be "
            "found: no other process will recognise it."
        )
    return " ".join(notes) or None


def _in_notebook() -> bool:
    return type(sys.stderr).__module__.startswith("ipykernel")


def costs(recipes: Iterable[Recipe], store: Store) -> dict[Recipe, float]:
    """About how many seconds each run takes, where the store has a record of its network.

    By the median of those records; other devices' count where this one has none.
    """

    def images(recipe: Recipe) -> int:  # of a data set that is not listed, a guess
        return recipe.epochs * (recipe.n_train or IMAGES.get(recipe.dataset, 10_000))

    here = device_name(pick_device())
    seen = ((r.recipe, r.device == here, r.seconds) for r in store.all() if r.seconds)
    rates = [(recipe.model, own, seconds / images(recipe)) for recipe, own, seconds in seen]
    table = pd.DataFrame(rates, columns=["model", "own", "rate"]).groupby(["model", "own"])
    rate = table["rate"].median().groupby("model").last()  # "own" in order: False, True
    return {r: float(rate[r.model]) * images(r) for r in recipes if r.model in rate}


def plan(recipes: Iterable[Recipe], store: Store) -> dict[Recipe, float]:
    """What must be trained to have these records, teachers first, and the seconds it may take.

    Says so. Raises ValueError where something registered does not fit (`check`).
    """
    asked = dict.fromkeys(recipes)
    if not (missing := [recipe for recipe in asked if store.get(recipe) is None]):
        return {}
    for recipe in missing:
        check(recipe, data.load(recipe.dataset), pick_device())
    todo = _with_teachers(missing, store)
    known, extra = costs(todo, store), len(todo) - len(missing)
    times, new = [], len(todo) - len(known)
    if known:
        seconds = max(1, sum(known.values()))
        times.append(f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min")
    if new:
        times.append(f"{new} of networks that no run is recorded of")
    more = f", and {extra} of their teachers must be trained" if extra else ""
    text = f"{len(missing)} of {len(asked)} runs are not in the store{more}"
    print(f"{text}: {', and '.join(times)}.", flush=True)
    typical = median(known.values()) if known else 1.0
    return {recipe: known.get(recipe, typical) for recipe in todo}


def _with_teachers(recipes: Iterable[Recipe], store: Store) -> list[Recipe]:
    """Recipes, each after those of its teachers that must be trained because they are asked."""
    todo = []
    for recipe in recipes:
        known = recipe.needs_teacher and Knowledge(recipe, data.load(recipe.dataset), store)
        for part in (known.members or [known]) if known else ():
            if recipe.looks_inside or not part.complete:
                absent = [t for t in part.recipe.teachers if store.weights(t) is None]
                todo += _with_teachers(absent, store)
        todo.append(recipe)
    return [*dict.fromkeys(todo)]


def run_all(recipes: Iterable[Recipe], store: Store, minutes: float | None = None) -> list[Record]:
    """The records of these recipes, in their order.

    Trains only what the store lacks, and says beforehand how many runs that is and about how long.
    minutes: begin no run after so long; records that are then missing are not in the list.
    """
    recipes = [*recipes]
    until = math.inf if minutes is None else time.time() + 60 * minutes
    if todo := plan(recipes, store):
        off = os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
        off = off or not (_in_notebook() or sys.stderr.isatty())
        form = "{percentage:3.0f}% |{bar:12}| {desc}{remaining} left"
        timing = {"miniters": 0, "smoothing": 0, "mininterval": SHOWN_SECONDS}
        seconds = sum(todo.values())
        try:
            with tqdm(total=seconds, leave=False, disable=off, bar_format=form, **timing) as bar:
                _go_through(todo, store, until, bar)
        except Interrupted:
            raise
        except KeyboardInterrupt:
            text = "Stopped; what is done is kept: run the cell again to go on."
            raise Interrupted(text) from None
    records = [record for recipe in recipes if (record := store.get(recipe))]
    if left := len(recipes) - len(records):
        print(f"Stopped after {minutes:g} min: {left} runs are missing. Run it again to go on.")
    return records


def _go_through(todo: dict[Recipe, float], store: Store, until: float, bar: tqdm) -> None:
    """Train one after the other; what another process trains is passed over until the end."""
    left, wait = [*todo], dict.fromkeys(todo, 0)

    def show(recipe: Recipe, begun: float, done: float) -> None:
        at = f"run {len(todo) - len(left)} of {len(todo)} · {recipe.label} · epoch "
        epoch = min(int(done) + 1, recipe.epochs)
        bar.set_description_str(f"{at}{epoch}/{recipe.epochs} · ", refresh=False)
        bar.update(begun + todo[recipe] * done / recipe.epochs - bar.n)

    while left and time.time() <= until:
        recipe = left.pop(0)
        if set(left).isdisjoint(recipe.teachers):  # else another process trains its teacher
            on_step = partial(show, recipe, bar.n)
            try:
                on_step(0)
                _ensure(recipe, store, wait[recipe], on_step)
                on_step(recipe.epochs)  # also where it was resumed, or trained elsewhere
                continue
            except Timeout:
                wait[recipe] = 1  # second, the next time: there may be nothing else to do
        left.append(recipe)
