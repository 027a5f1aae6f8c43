"""Recipes in, records out.

`run` trains one recipe unless the store has its record; `run_all` does so for many, says beforehand
what that will cost, and shows one bar for all of them. Several processes may do so at once: who
trains a recipe holds its lock.
"""

import datetime
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from statistics import median
from typing import Any

import torch
from filelock import Timeout
from torch import nn
from tqdm import tqdm

from . import __version__, data, metrics, models
from .knowledge import Knowledge
from .recipes import Recipe
from .store import Record, Store
from .training import Interrupted, NotFinite, build_net, check, fit, pick_device, predict

IMAGES = {"mnist": 55_000, "cifar10": 45_000, "cifar100": 45_000, "digits": 1_100}
SHOWN_SECONDS = 0.2  # between two states of the bar


def device_name(device: torch.device) -> str:
    """What a record says it ran on: the GPU's or the processor's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        with open("/proc/cpuinfo") as lines:
            name = next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"CPU ({name})"


def run(recipe: Recipe, store: Store | None = None, device: torch.device | None = None) -> Record:
    """The record of a recipe: from the store, or from training it (and first its teachers).

    A loss that is not finite gives a record without metrics whose `failure` says where.
    """
    store = store or Store()
    return _kept(store.get, recipe, store, device)


def trained(
    recipe: Recipe, store: Store | None = None, device: torch.device | None = None
) -> nn.Module:
    """The network that a recipe leads to, in evaluation mode: loaded, or trained where it is not.

    A committed record has no weights with it, so a teacher may have to be trained again although
    its record exists. Raises ValueError where its training failed.
    """
    store, device = store or Store(), device or pick_device()
    weights = _kept(store.weights, recipe, store, device)
    if weights is None:
        raise ValueError(f"{recipe.id} has no network to load: {store.get(recipe).failure}")
    net = build_net(recipe, data.load(recipe.dataset))
    net.load_state_dict(weights)
    return net.eval().to(device)


def knowledge_of(
    recipe: Recipe, store: Store | None = None, device: torch.device | None = None
) -> Knowledge | None:
    """What a student learns from, or None without a teacher.

    Teachers that have something to be asked are loaded, or trained.
    """
    if not recipe.needs_teacher:
        return None
    store, device = store or Store(), device or pick_device()
    known = Knowledge(recipe, data.load(recipe.dataset), store, device=device)
    if not known.complete:
        known.nets = [trained(teacher, store, device) for teacher in recipe.teachers]
    return known


def _kept(
    find: Callable[[Recipe], Any],
    recipe: Recipe,
    store: Store,
    device: torch.device | None = None,
    wait: float = -1,
    **hooks: Callable,
) -> Any:
    """What `find` finds of a recipe in the store, once it is trained if that is nothing.

    wait: seconds to wait while another process trains the same recipe (-1: as long as it takes);
    then filelock.Timeout.
    """
    if (found := find(recipe)) is None:
        with store.lock(recipe, wait):
            if (found := find(recipe)) is None:  # nor has another process trained it meanwhile
                _train(recipe, store, device or pick_device(), hooks)
                found = find(recipe)
    return found


def _train(recipe: Recipe, store: Store, device: torch.device, hooks: dict) -> None:
    """Train, measure and record; the recipe's lock is held."""
    dataset = data.load(recipe.dataset)
    check(recipe, dataset, device)  # before its teachers are trained
    known = knowledge_of(recipe, store, device)
    checkpoint = store.local / "checkpoints" / f"{recipe.id}.ckpt"
    curve, measured, seconds, failure, tensors = [], {}, 0.0, None, ()
    try:
        fitted = fit(recipe, dataset, known and known.lesson, checkpoint, device, **hooks)
    except NotFinite as problem:
        failure = str(problem)
    except torch.cuda.OutOfMemoryError as problem:
        raise MemoryError(
            f"{recipe.id} does not fit into the memory of {device_name(device)} at batch_size "
            f"= {recipe.batch_size}. Try {max(1, recipe.batch_size // 2)}."
        ) from problem
    else:
        curve, seconds = fitted.curve, round(fitted.seconds, 2)
        splits = {"val": dataset.val, "test": dataset.test}
        # measured from what is stored, so that stored logits give the same numbers again
        logits = {
            name: predict(fitted.net, split.images.to(device), dataset).cpu().half().float()
            for name, split in splits.items()
        }
        labels = {name: split.labels for name, split in splits.items()}
        teacher = known and known.on_test()
        measured = metrics.measure(logits, labels, teacher, recipe.without_classes)
        measured |= metrics.by_epoch(curve, len(dataset.test))
        tensors = logits, fitted.net.state_dict()
    record = Record(
        recipe=recipe,
        curve=curve,
        metrics=measured,
        seconds=seconds,
        device=device_name(device),
        threads=torch.get_num_threads(),
        parameters=models.count_parameters(build_net(recipe, dataset)),
        recorded=datetime.date.today().isoformat(),
        versions={
            "kdutils": __version__,
            "torch": torch.__version__.split("+")[0],
            "python": platform.python_version(),
        },
        failure=failure,
        note=_note(recipe),
    )
    store.put(record, *tensors)


def _note(recipe: Recipe) -> str | None:
    """What a reader of the record has to know."""
    notes = []
    if 0 < recipe.n_views < recipe.epochs:
        notes.append(
            f"{recipe.epochs} epochs over {recipe.n_views} stored views, used in turn: each view "
            f"was seen {recipe.epochs // recipe.n_views} times or once more."
        )
    if not recipe.recognisable:
        notes.append(
            "Something registered in this recipe was typed at a prompt, where its source cannot be "
            "found: no other process will recognise it."
        )
    return " ".join(notes) or None


def _images(recipe: Recipe) -> int:
    """How many a run sees in all its epochs; of a data set that is not listed, a guess."""
    return recipe.epochs * (recipe.n_train or IMAGES.get(recipe.dataset, 10_000))


def costs(recipes: Iterable[Recipe], store: Store | None = None) -> dict[Recipe, float]:
    """About how many seconds each run takes, where the store has a record of its network.

    From the median of those records; other devices' do not count where this one has any.
    """
    here, seen = device_name(pick_device()), {}
    for record in (store or Store()).all():
        if record.seconds:
            places = seen.setdefault(record.recipe.model, {True: [], False: []})
            places[record.device == here].append(record.seconds / _images(record.recipe))
    rate = {model: median(places[True] or places[False]) for model, places in seen.items()}
    return {r: rate[r.model] * _images(r) for r in recipes if r.model in rate}


def estimate(known: dict[Recipe, float], n: int) -> str:
    """In words, how long n runs take one after the other, by the `costs` that are known."""
    if not known:
        return "no run of these networks is recorded yet, so their time is not known"
    seconds, new = sum(known.values()), n - len(known)
    text = f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(1, seconds):.0f} s"
    return f"{text}, and {new} of networks that no run is recorded of" if new else text


def plan(recipes: Iterable[Recipe], store: Store, quiet: bool = False) -> dict[Recipe, float]:
    """What must be trained to have these records, teachers first, and the seconds it may take.

    Says so unless `quiet`. Raises ValueError where something registered does not fit (`check`).
    """
    asked = dict.fromkeys(recipes)
    missing = [recipe for recipe in asked if store.get(recipe) is None]
    if not missing:
        return {}
    for recipe in missing:
        check(recipe, data.load(recipe.dataset), pick_device())
    todo = _with_teachers(missing, store)
    known = costs(todo, store)
    if not quiet:
        extra = len(todo) - len(missing)
        more = f", and {extra} of their teachers must be trained" if extra else ""
        count = f"{len(missing)} of {len(asked)} runs are not in the store{more}"
        print(f"{count}: {estimate(known, len(todo))}.", flush=True)
    typical = median(known.values()) if known else 1.0
    return {recipe: known.get(recipe, typical) for recipe in todo}


def _with_teachers(recipes: Iterable[Recipe], store: Store) -> list[Recipe]:
    """Recipes, each after those of its teachers that must be trained because they are asked."""
    todo: dict[Recipe, None] = {}
    for recipe in recipes:
        known = recipe.needs_teacher and Knowledge(recipe, data.load(recipe.dataset), store)
        if known and not known.complete:
            absent = [t for t in recipe.teachers if store.weights(t) is None]
            todo |= dict.fromkeys(_with_teachers(absent, store))
        todo[recipe] = None
    return list(todo)


def made_here(recipe: Recipe, store: Store) -> Record | None:
    """The record of a run whose network is kept as well, or has failed."""
    record = store.get(recipe)
    return record if record and (record.failure or "weights" in record.files) else None


def run_all(
    recipes: Iterable[Recipe],
    store: Store | None = None,
    quiet: bool = False,
    minutes: float | None = None,
) -> list[Record]:
    """The records of these recipes, in their order.

    Trains only what the store lacks, and says beforehand how many runs that is and about how long.
    minutes: begin no run after so long; records that are then missing are not in the list.
    """
    recipes, store = [*recipes], store or Store()
    until = math.inf if minutes is None else time.time() + 60 * minutes
    if todo := plan(recipes, store, quiet):
        with progress(todo, quiet) as bar:
            try:
                _go_through(todo, store, until, bar)
            except KeyboardInterrupt as stop:
                text = "Stopped; what is done is kept: run the cell again to go on."
                raise stop if isinstance(stop, Interrupted) else Interrupted(text) from None
    records = [record for recipe in recipes if (record := store.get(recipe))]
    if len(records) < len(recipes) and not quiet:
        left = len(recipes) - len(records)
        print(f"Stopped after {minutes:g} min: {left} runs are missing. Run it again to go on.")
    return records


def _go_through(todo: dict[Recipe, float], store: Store, until: float, bar: tqdm) -> None:
    """Train one after the other; what another process trains is passed over until the end."""
    left, wait = [*todo], 0
    while left:
        passed: set[Recipe] = set()
        for recipe in [*left]:
            if time.time() > until:
                return
            passed.add(recipe)
            if passed.isdisjoint(recipe.teachers):  # else it would wait for its teacher
                number, end = len(todo) - len(left) + 1, bar.n + todo[recipe]
                hooks = _shown(recipe, f"run {number} of {len(todo)}", bar, end)
                with suppress(Timeout):
                    _kept(lambda r: made_here(r, store), recipe, store, None, wait, **hooks)
                    bar.update(end - bar.n)  # also where it was resumed, or trained elsewhere
                    left.remove(recipe)
                    passed.remove(recipe)
        wait = 1  # second for each of them: now there is nothing else to do


def progress(todo: dict[Recipe, float], quiet: bool = False) -> tqdm:
    """One line for all runs, in seconds that they are thought to take; gone at the end."""
    seen = sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")
    off = quiet or not seen or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    form = "{percentage:3.0f}% |{bar:12}| {desc}{remaining} left"
    timing = {"miniters": 0, "smoothing": 0, "mininterval": SHOWN_SECONDS}
    return tqdm(total=sum(todo.values()), leave=False, disable=off, bar_format=form, **timing)


def _shown(recipe: Recipe, at: str, bar: tqdm, end: float) -> dict[str, Callable]:
    """Hooks of `fit` that say in the bar which run and epoch it is, and move it up to `end`."""
    share = (end - bar.n) / _images(recipe)

    def on_epoch(entry: dict) -> None:
        epoch = min(entry["epoch"] + 1, recipe.epochs)
        bar.set_description_str(f"{at} · {recipe.label} · epoch {epoch}/{recipe.epochs} · ")

    def on_step(images: int) -> None:
        bar.update(min(share * images, end - bar.n))

    on_epoch({"epoch": 0})
    return {"on_epoch": on_epoch, "on_step": on_step}
