"""Recipes in, records out.

`run` trains one recipe unless the store has its record; `run_all` does so for many, says beforehand
what that will cost, and shows one bar for all of them.
"""

import datetime
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from statistics import median

import torch
from torch import nn
from tqdm import tqdm

from . import __version__, data, losses, metrics, models
from .knowledge import Knowledge
from .recipes import Recipe
from .store import Record, Store
from .training import (
    Interrupted,
    NotFinite,
    build_net,
    check,
    fit,
    pick_device,
    predict,
)

IMAGES = {"mnist": 55_000, "cifar10": 45_000, "cifar100": 45_000, "digits": 1_100} | {
    "bayes10": data.BAYES10_IMAGES["train"]
}
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


def run(
    recipe: Recipe,
    store: Store | None = None,
    device: torch.device | None = None,
    again: bool = False,
    wait: float = -1,
    **hooks: Callable,
) -> Record:
    """The record of a recipe: from the store, or from training it (and first its teachers).

    A loss that is not finite gives a record without metrics whose `failure` says where. `again`
    trains even if there is a record. `wait`: seconds to wait while another process trains the same
    recipe (-1: as long as it takes); then filelock.Timeout. hooks: on_epoch, on_step of `fit`.
    """
    store = store or Store()
    if not again and (record := store.get(recipe)):
        return record
    with store.lock(recipe, wait):
        if not again and (record := store.get(recipe)):
            return record  # another process trained it meanwhile
        return _train(recipe, store, device or pick_device(), hooks)


def trained(
    recipe: Recipe,
    store: Store | None = None,
    device: torch.device | None = None,
    **hooks: Callable,
) -> nn.Module:
    """The network that a recipe leads to, in evaluation mode: loaded, or trained where it is not.

    A committed record has no weights with it, so a teacher may have to be trained again although
    its record exists. Raises ValueError where its training failed. hooks: as `run` has them.
    """
    store, device = store or Store(), device or pick_device()
    if (weights := store.weights(recipe)) is None:
        with store.lock(recipe):
            if store.weights(recipe) is None:  # nor has another process trained it meanwhile
                if failure := _train(recipe, store, device, hooks).failure:
                    raise ValueError(f"{recipe.id} has no network to load: {failure}")
            weights = store.weights(recipe)
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


def _train(recipe: Recipe, store: Store, device: torch.device, hooks: dict) -> Record:
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
        note=" ".join(notes) or None,
    )
    store.put(record, *tensors)
    return record


def _work(recipe: Recipe) -> int:
    """Images that a run sees in all its epochs; of a data set of your own, a guess."""
    return recipe.epochs * (recipe.n_train or IMAGES.get(recipe.dataset, 10_000))


def costs(recipes: Iterable[Recipe], store: Store | None = None) -> dict[Recipe, float]:
    """About how many seconds each run takes, where the store has a record of its network.

    From the median of those records; other devices' do not count where this one has any.
    """
    here, seen = device_name(pick_device()), {}
    for record in (store or Store()).all():
        if record.seconds:
            places = seen.setdefault(record.recipe.model, {True: [], False: []})
            places[record.device == here].append(record.seconds / _work(record.recipe))
    rate = {model: median(places[True] or places[False]) for model, places in seen.items()}
    return {r: rate[r.model] * _work(r) for r in recipes if r.model in rate}


def estimate(known: dict[Recipe, float], n: int) -> str:
    """In words, how long n runs take one after the other, by the `costs` that are known."""
    if not known:
        return "no run of these networks is recorded yet, so their time is not known"
    seconds, new = sum(known.values()), n - len(known)
    text = f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(1, seconds):.0f} s"
    return f"{text}, and {new} of networks that no run is recorded of" if new else text


def run_all(
    recipes: Iterable[Recipe],
    seeds: Sequence[int] | None = None,
    store: Store | None = None,
    jobs: int = 1,
    quiet: bool = False,
    minutes: float | None = None,
    prepare: Callable[[], None] | None = None,
) -> list[list[Record]]:
    """Records of every recipe at every seed: one list a recipe, in the order of the seeds.

    seeds = None: each recipe at its own seed. Trains only what the store lacks, and says beforehand
    how many runs that is and about how long. jobs: how many runs at once, each in a process of its
    own with its share of the cores; prepare: called first in each of them, to register what recipes
    name. minutes: begin no run after so long; records that are then missing are not in the lists.
    """
    if not isinstance(jobs, int) or jobs < 1:
        raise ValueError(f"jobs = {jobs!r} must be a whole number of at least 1.")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes = {minutes!r} must be above 0, or None for no limit.")
    store = store or Store()
    wanted = [[recipe] if seeds is None else [*map(recipe.with_seed, seeds)] for recipe in recipes]
    missing = list(dict.fromkeys(r for row in wanted for r in row if store.get(r) is None))
    if missing:
        for recipe in missing:
            check(recipe, data.load(recipe.dataset), pick_device())
        plan = _with_teachers(missing, store)
        known = costs(plan, store)
        typical = median(known.values()) if known else 1.0
        cost = {recipe: known.get(recipe, typical) for recipe in plan}
        if not quiet:
            extra = len(plan) - len(missing)
            more = f", and {extra} of their teachers must be trained" if extra else ""
            count = f"{len(missing)} of {sum(map(len, wanted))} runs are not in the store{more}"
            at_once = f", one by one; {jobs} run at once" if jobs > 1 else ""
            print(f"{count}: {estimate(known, len(plan))}{at_once}.", flush=True)
        until = time.time() + 60 * minutes if minutes else float("inf")
        with _bar(sum(cost.values()), quiet) as bar:
            try:
                if jobs == 1:
                    _in_turn(cost, store, until, bar)
                else:
                    _at_once(cost, store, until, bar, jobs, prepare, quiet)
            except KeyboardInterrupt as stop:
                text = "Stopped; what is done is kept: run the cell again to go on."
                raise stop if isinstance(stop, Interrupted) else Interrupted(text) from None
    found = [[store.get(recipe) for recipe in row] for row in wanted]
    left = sum(record is None for row in found for record in row)
    if left and not quiet:
        print(f"Stopped after {minutes:g} min: {left} runs are missing. Run it again to go on.")
    return [[record for record in row if record is not None] for row in found]


def _with_teachers(recipes: Iterable[Recipe], store: Store) -> list[Recipe]:
    """Recipes, each after those of its teachers that must be trained because they are asked."""
    plan: dict[Recipe, None] = {}
    for recipe in recipes:
        if recipe.teachers and not Knowledge(recipe, data.load(recipe.dataset), store).complete:
            absent = [t for t in recipe.teachers if store.weights(t) is None]
            plan |= dict.fromkeys(_with_teachers(absent, store))
        plan[recipe] = None
    return list(plan)


def _bar(total: float, quiet: bool) -> tqdm:
    """One line for all runs, in seconds that they are thought to take; gone at the end."""
    seen = sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")
    off = quiet or not seen or os.environ.get("TQDM_DISABLE", "0") not in ("", "0")
    form = "{percentage:3.0f}% |{bar:12}| {desc}{remaining} left"
    timing = {"miniters": 0, "smoothing": 0, "mininterval": SHOWN_SECONDS}
    return tqdm(total=total, leave=False, disable=off, bar_format=form, **timing)


def _in_turn(cost: dict[Recipe, float], store: Store, until: float, bar: tqdm) -> None:
    """Train one run after the other, in this process."""
    for number, recipe in enumerate(cost, 1):
        if time.time() > until:
            return
        at, end = f"run {number} of {len(cost)} · {recipe.label}", sum([*cost.values()][:number])
        share = cost[recipe] / _work(recipe)

        def show(entry: dict, at: str = at, epochs: int = recipe.epochs) -> None:
            epoch = min(entry["epoch"] + 1, epochs)
            bar.set_description_str(f"{at} · epoch {epoch}/{epochs} · ")

        def move(images: int, share: float = share, end: float = end) -> None:
            bar.update(min(share * images, end - bar.n))

        show({"epoch": 0})
        _obtain(recipe, store, on_epoch=show, on_step=move)
        bar.update(end - bar.n)  # also where it was resumed, or trained by another process


def _obtain(recipe: Recipe, store: Store, **hooks: Callable) -> Record:
    """The record of a recipe and, where only its network is missing, the network too."""
    if store.get(recipe) is not None:
        trained(recipe, store, **hooks)
    return run(recipe, store, **hooks)


def _at_once(cost, store: Store, until: float, bar: tqdm, jobs: int, prepare, quiet: bool) -> None:
    """Train in several processes, teachers first; who needs one under way waits for its lock."""
    others, threads, done = active_children(), max(1, (os.cpu_count() or 1) // jobs), 0
    # a fresh interpreter each: a forked one would inherit this one's threads and its GPU
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker, (threads, prepare))
    try:
        order = sorted(cost, key=lambda recipe: len(recipe.teachers) > 0)
        for future in as_completed([pool.submit(_work_on, r, store, until) for r in order]):
            if (record := future.result()) is None:
                continue
            done += 1
            bar.set_description_str(f"{done} of {len(cost)} runs done · ")
            bar.update(cost[record.recipe])
            score = record.metrics.get("val_accuracy")
            said = record.failure or f"{score:.2f} % on validation"
            if not quiet:
                tqdm.write(f"{done}/{len(cost)} {record.id}: {said}, {record.seconds:.0f} s")
    except KeyboardInterrupt:
        for worker in active_children():
            if worker not in others:
                worker.terminate()  # its checkpoint is a few seconds old
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        store.sweep()


def _start_worker(threads: int, prepare: Callable[[], None] | None) -> None:
    os.environ["TQDM_DISABLE"] = "1"  # bars of several processes would overwrite each other
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks decides
    torch.set_num_threads(threads)
    if prepare:
        prepare()


def _work_on(recipe: Recipe, store: Store, until: float) -> Record | None:
    """One run in a worker; None where its time is over."""
    if time.time() > until:
        return None
    places = {"dataset": data, "model": models, "loss": losses}
    for part in (recipe, *recipe.teachers):
        for field, name, source in part.registered:
            here = places[field].REGISTERED
            if name not in here or here.source(name) != source:
                raise ValueError(
                    f"{field} = {name!r} is registered in your process, but not in the workers of "
                    "jobs > 1. Use jobs = 1, or hand run_all a function of a module that registers "
                    "it: prepare=..."
                )
    return _obtain(recipe, store)
