"""Recipes in, records out.

`run` trains one recipe unless the store has its record; `run_all` does so for many, and says
beforehand what that will cost.
"""

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import torch
from torch import nn

from . import __version__, data, metrics, models
from .course.arm import Arm
from .knowledge import Knowledge, log_posterior
from .recipes import Recipe
from .store import Record, Store
from .training import NotFinite, OutOfMemory, build_net, fit, pick_device, predict, transfer_index


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


def trained(recipe: Recipe, store: Store | None = None, device=None) -> nn.Module:
    """The network that a recipe leads to, in evaluation mode: loaded, or trained where it is not.

    A committed record has no weights with it, so a teacher may have to be trained again although
    its record exists; the record stays as it is.
    """
    store = store or Store()
    device = device or pick_device()
    weights = store.weights(recipe)
    if weights is None:
        run(recipe, store, device, again=True)
        weights = store.weights(recipe)
    net = build_net(recipe, data.load(recipe.dataset))
    net.load_state_dict(weights)
    return net.eval().to(device)


def run(
    recipe: Recipe,
    store: Store | None = None,
    device: torch.device | None = None,
    again: bool = False,
    wait: float = -1,
) -> Record:
    """The record of a recipe: from the store, or from training it (and first its teachers).

    A loss that is not finite gives a record without metrics whose `failure` says where. `again`
    trains even if there is a record. `wait`: seconds to wait while another process trains the same
    recipe (-1: as long as it takes); then filelock.Timeout.
    """
    store = store or Store()
    if not again and (record := store.get(recipe)):
        return record
    device = device or pick_device()
    dataset = data.load(recipe.dataset)
    with store.lock(recipe, wait):
        if not again and (record := store.get(recipe)):
            return record  # another process trained it meanwhile
        teacher_logits, knowledge = _teacher(recipe, dataset, store, device)
        checkpoint = store.local / "checkpoints" / f"{recipe.id}.pt"
        net, curve, seconds, failure = build_net(recipe, dataset), [], 0.0, None
        parameters = models.count_parameters(net)
        results, logits = {}, {}
        try:
            fitted = fit(recipe, dataset, teacher_logits, checkpoint, device)
        except NotFinite as problem:
            failure = str(problem)
        except torch.cuda.OutOfMemoryError as problem:
            raise OutOfMemory(
                f"{recipe.id} does not fit into the memory of {device_name(device)} at batch_size "
                f"= {recipe.batch_size}. Try {max(1, recipe.batch_size // 2)}."
            ) from problem
        else:
            net, curve, seconds = fitted.net, fitted.curve, fitted.seconds
            # measured from what is stored, so that stored logits give the same numbers again
            logits = {
                name: predict(net, split.images.to(device), dataset).cpu().half().float()
                for name, split in (("val", dataset.val), ("test", dataset.test))
            }
            results = measure(recipe, dataset, logits, knowledge) | by_epoch(
                curve, len(dataset.test)
            )
        record = Record(
            recipe=recipe,
            curve=curve,
            metrics=results,
            seconds=round(seconds, 2),
            device=device_name(device),
            threads=torch.get_num_threads(),
            parameters=parameters,
            recorded=datetime.date.today().isoformat(),
            versions={
                "kdutils": __version__,
                "torch": torch.__version__.split("+")[0],
                "python": platform.python_version(),
            },
            failure=failure,
            note=_note(recipe),
        )
        store.put(record, logits, None if failure else net.state_dict())
    return record


def _teacher(recipe: Recipe, dataset: data.Dataset, store: Store, device: torch.device):
    """The function epoch -> logits on the transfer set, and the knowledge behind it (or None)."""
    if not recipe.needs_teacher:
        return None, None
    index = transfer_index(recipe, dataset)

    def whose(epoch: int) -> torch.Tensor:
        """Whose logits each image gets."""
        if recipe.teacher_order == "matched":
            return index
        stream = recipe.seed + (10_000 * (1 + epoch) if recipe.teacher_order == "reshuffled" else 0)
        shuffle = torch.Generator().manual_seed(stream)
        return index[torch.randperm(len(index), generator=shuffle)]

    if recipe.teacher == "posterior":
        exact = log_posterior(recipe.train_on, recipe.n_train)
        return (lambda epoch: exact[whose(epoch)]), None

    knowledge = knowledge_of(recipe, store, device)
    return (lambda epoch: knowledge.logits(epoch)[whose(epoch)]), knowledge


def knowledge_of(
    recipe: Recipe, store: Store | None = None, device: torch.device | None = None
) -> Knowledge:
    """What a student's teachers say: read where it is stored, asked of them where it is not."""
    store, device = store or Store(), device or pick_device()

    def nets() -> list[nn.Module]:
        return [trained(teacher, store, device) for teacher in recipe.teachers]

    return Knowledge(recipe, data.load(recipe.dataset), nets, store, device)


def _note(recipe: Recipe) -> str | None:
    """What the record of a run says about its views, where they are not new in every epoch."""
    if not recipe.n_views or recipe.n_views >= recipe.epochs:
        return None
    return (
        f"{recipe.epochs} epochs over {recipe.n_views} stored views, used in turn: each view was "
        f"seen {recipe.epochs // recipe.n_views} times or once more."
    )


def measure(
    recipe: Recipe,
    dataset: data.Dataset,
    logits: dict[str, torch.Tensor],
    knowledge: Knowledge | None,
) -> dict[str, float | list[int]]:
    """All metrics of a trained network, from its logits on validation and test images."""
    out: dict[str, float | list[int]] = {}
    for name, split in (("val", dataset.val), ("test", dataset.test)):
        z, y = logits[name], split.labels
        out |= {
            f"{name}_errors": metrics.errors(z, y),
            f"{name}_accuracy": round(metrics.accuracy(z, y), 4),
            f"{name}_nll": round(metrics.nll(z, y), 6),
            f"{name}_ece": round(metrics.calibration_error(z, y), 4),
            f"{name}_errors_by_class": metrics.errors_by_class(z, y),
        }
    if knowledge is not None:
        teacher = knowledge.on_test()
    elif recipe.teacher == "posterior":
        teacher = log_posterior("test")
    else:
        teacher = None
    if teacher is not None:
        out["test_agreement"] = round(metrics.agreement(logits["test"], teacher), 4)
        out["test_kl_to_teacher"] = round(metrics.kl_to_teacher(logits["test"], teacher), 6)
    if len(recipe.without_classes) == 1:
        unseen = recipe.without_classes[0]
        bias = metrics.class_bias(logits["val"], dataset.val.labels, unseen)
        moved = logits["test"].clone()
        moved[:, unseen] += bias
        y = dataset.test.labels
        count = int((y == unseen).sum())
        for suffix, z in (("", logits["test"]), ("_corrected", moved)):
            wrong = metrics.errors_by_class(z, y)[unseen]
            out[f"test_unseen_errors{suffix}"] = wrong
            out[f"test_unseen_accuracy{suffix}"] = round(100 * (1 - wrong / count), 4)
        out["test_errors_corrected"] = metrics.errors(moved, y)
        out["class_bias"] = bias
    return out


def by_epoch(curve: list[dict[str, float]], n_test: int) -> dict[str, float]:
    """Test accuracy in percent, had an epoch been chosen: by the test images, or by validation.

    Empty for a run that did not watch the test images. Of equal epochs the first counts.
    """
    if "test_errors" not in curve[0]:
        return {}
    best = min(curve, key=lambda epoch: epoch["test_errors"])
    chosen = min(curve, key=lambda epoch: epoch["val_errors"])
    return {
        "test_accuracy_best_epoch": round(100 * (1 - best["test_errors"] / n_test), 4),
        "test_accuracy_chosen_epoch": round(100 * (1 - chosen["test_errors"] / n_test), 4),
    }


def estimate(recipe: Recipe, store: Store) -> float | None:
    """Seconds that a run may take, from the nearest record of the same network; None if unknown."""
    costs = [
        record.seconds / (record.recipe.epochs * _images(record.recipe))
        for record in store.all()
        if record.recipe.model == recipe.model and record.seconds
    ]
    return max(costs) * recipe.epochs * _images(recipe) if costs else None


def _images(recipe: Recipe) -> int:
    full = {"mnist": 55_000, "cifar10": 45_000, "cifar100": 45_000, "digits": 1_100}
    return recipe.n_train or full.get(recipe.dataset, data.BAYES10_IMAGES["train"])


def run_all(
    recipes: Iterable[Recipe],
    seeds: Sequence[int] | None,
    store: Store | None = None,
    quiet: bool = False,
    jobs: int = 1,
) -> list[list[Record]]:
    """Records of every recipe at every seed: one list a recipe, in the order of the seeds.

    seeds = None: each recipe at its own seed. Trains only what the store lacks, and says beforehand
    how many runs that is and about how long. jobs: how many runs at once, each in a process of its
    own with its share of the cores.
    """
    if not isinstance(jobs, int) or jobs < 1:
        raise ValueError(f"jobs = {jobs!r} must be a whole number of at least 1.")
    store = store or Store()
    wanted = [
        [recipe] if seeds is None else [recipe.with_seed(seed) for seed in seeds]
        for recipe in recipes
    ]
    missing = [r for row in wanted for r in row if store.get(r) is None]
    if missing and not quiet:
        seconds = [estimate(recipe, store) for recipe in missing]
        known = sum(s for s in seconds if s is not None)
        rest = sum(s is None for s in seconds)
        note = f"about {known / 60:.0f} min" if known >= 90 else f"about {known:.0f} s"
        if rest:
            note += f" and {rest} whose time is not known yet"
        if jobs > 1:
            note += f", were they run one by one; {jobs} run at once"
        print(f"{len(missing)} of {sum(map(len, wanted))} runs are not in the store: {note}.")
    if missing and jobs > 1:
        _run_together(missing, store, jobs, quiet)
    return [[run(recipe, store) for recipe in row] for row in wanted]


def _run_together(recipes: Iterable[Recipe], store: Store, jobs: int, quiet: bool) -> None:
    """Train recipes in several processes: first those that have no teacher, then their students.

    The locks of the store keep other processes off the same run. Resumable: what is done is in the
    store, what was under way has its checkpoint.
    """
    waves: dict[int, list[Recipe]] = {}
    for recipe in dict.fromkeys(recipes):
        waves.setdefault(_generation(recipe), []).append(recipe)
    total, done = sum(map(len, waves.values())), 0
    threads = max(1, (os.cpu_count() or 1) // jobs)
    # a fresh interpreter each: a forked one would inherit this one's threads and its GPU
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker, (threads,))
    try:
        for _, wave in sorted(waves.items()):
            futures = [pool.submit(run, recipe, store) for recipe in wave]
            for future in as_completed(futures):
                record, done = future.result(), done + 1
                if not quiet:
                    score = record.metrics.get("val_accuracy")
                    said = record.failure or f"{score:.2f} % on validation"
                    print(f"{done}/{total} {record.id}: {said}, {record.seconds:.0f} s", flush=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _generation(recipe: Recipe) -> int:
    """0 without a teacher, 1 for a student, 2 for a student's student."""
    return max((1 + _generation(teacher) for teacher in recipe.teachers), default=0)


def _start_worker(threads: int) -> None:
    os.environ["TQDM_DISABLE"] = "1"  # bars of several processes would overwrite each other
    torch.set_num_threads(threads)


def run_arms(
    arms: Iterable[Arm], seeds: Sequence[int], store: Store | None = None, jobs: int = 1
) -> list[Record]:
    """Records of all arms of a notebook at these seeds; an arm that runs `once`, at its own."""
    wanted = [arm.recipe.with_seed(seed) for arm in arms for seed in arm.seeds(seeds)]
    return [row[0] for row in run_all(dict.fromkeys(wanted), None, store, jobs=jobs)]
