"""Speed side by side: the tutorial's way against ours, in one process, as ratios.

In: which parts, how often. Out: a dict, its JSON, its tables. The parts:

a  one epoch of CNN5 <- ResNet-18 distillation: the tutorial's way, ours with a live teacher, ours
   with stored logits
b  one epoch of ResNet-18 and of CNN5 on hard labels: the tutorial's way and ours
c  the arithmetic rate of ours on ResNet-18, as a share of this machine's matrix products
d  the cost of a sweep over T and alpha as it grows, computed from the pieces that a measures
e  the peak memory of a fresh process that trains CNN5 on all training images

The tutorial's way is the training loop of PyTorch's "Knowledge Distillation Tutorial", rewritten:
DataLoader with two workers over PIL images, float32, contiguous, Adam, `.item()` in every step,
the teacher asked in every step. Crop and flip, which it has not, are added, and its networks are
replaced by ours, so that both ways do the same work: same images (the first of the training
split), same kind of augmentation, batch, loss, optimiser, networks. Teachers have random weights:
speed does not depend on what they know.

Every way is warmed up once, untimed, then the ways take turns (A, B, A, B, ...). A ratio is taken
within a round; median, smallest and largest over the rounds are kept. The clock runs over training
steps alone, neither set-up nor validation: for the tutorial's way from its second step on, its
workers running (they may be four batches ahead, to its advantage); for ours over `fit`'s whole
epoch, making the view included. Only so many images are timed as "images" says; seconds an epoch
of 45,000 images follow by proportion. Teacher pass: inside "live", one view made and answered.

The JSON. A spread is {"median", "min", "max"} over the rounds; a way is {"images": timed a round,
"seconds": [one a round], "epoch_seconds": spread}:

  quick (bool: the numbers mean nothing), notes ([str]), date (ISO), device, threads, torch,
  load (1-minute average at the start, or null), dataset, teacher, student (models), repeats,
  batch, epoch_images, seconds (the whole run),
  parts: {letter: {"what": str, "ways": {name: way}, "ratios": {"A / B": spread}, ...}}
    c also: gflop_per_image (forward and backward, a multiply-add is two), gflops: {"ours",
            "bfloat16 product", "float32 product": spread}, peak_gflops: {dtype: best product}
    d also: epochs, views, rows: [{"settings": n, "live_seconds", "stored_seconds": spread}]
    e also: images, epochs, peak_gb (10^9 bytes, resident), gpu_peak_gb (allocated, or null)
"""

import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, RandomSampler
from torch.utils.flop_counter import FlopCounterMode
from torchvision import transforms
from torchvision.transforms.functional import to_pil_image
from tqdm import tqdm

from kdutils import ROOT, data, models
from kdutils.knowledge import Knowledge
from kdutils.recipes import Recipe
from kdutils.runs import device_name
from kdutils.store import Store
from kdutils.training import build_net, fit, pick_device

OUT = ROOT / "build" / "bench.json"
PARTS = {
    "a": "one epoch of distillation, student from teacher",
    "b": "one epoch on hard labels",
    "c": "arithmetic rate of training the teacher's network",
    "d": "a sweep of n settings of T and alpha",
    "e": "peak memory of training the student",
}
DATASETS = ("cifar10", "bayes10")
EPOCH_IMAGES, LR = 45_000, 1e-3
BATCH, QUICK_BATCH = 128, 32
TEMPERATURE, ALPHA = 2.0, 0.25  # the tutorial's
WORKERS, LEAD = 2, 1  # LEAD: untimed steps of the tutorial's way, while its workers start
SWEEP, SWEEP_EPOCHS, SWEEP_VIEWS = (1, 4, 16, 64), 30, 8
MEMORY_EPOCHS = 2
BUSY = 0.7
# Images timed a round: few where a way is slow. Two CPU cores need about six minutes for all.
IMAGES = {
    "cpu": {
        "a tutorial": 1_280, "a live": 1_280, "a stored": 10_240,
        "b teacher tutorial": 384, "b teacher ours": 768,
        "b student tutorial": 3_840, "b student ours": 10_240, "c": 512,
    },
    "cuda": {
        "a tutorial": 12_800, "a live": 44_800, "a stored": 44_800,
        "b teacher tutorial": 12_800, "b teacher ours": 12_800,
        "b student tutorial": 12_800, "b student ours": 44_800, "c": 12_800,
    },
}  # fmt: skip
PRODUCTS = {"cpu": (2048, 4096), "cuda": (4096, 8192)}
Way = Callable[[int], float]  # images to train on -> seconds it took
Rounds = dict[str, dict]  # name of a way -> images, seconds of each round


@dataclass(frozen=True)
class Setting:
    """What is measured on: a data set with one validation image, networks by name, images a way."""

    dataset: data.Dataset
    device: torch.device
    teacher: str
    student: str
    images: dict[str, int]
    products: tuple[int, ...]
    batch: int
    repeats: int

    def recipe(self, model: str, taught: bool = False) -> Recipe:
        """Our way to train a network: what the tutorial does, in bfloat16."""
        common = {"dataset": self.dataset.name, "epochs": 1, "lr": LR}
        common |= {"batch_size": self.batch, "views": "crop-flip"}
        common |= {"optimizer": "adam", "schedule": "constant"}
        if taught:
            common |= {"teacher": Recipe(**common, model=self.teacher)}
            common |= {"temperature": TEMPERATURE, "alpha": ALPHA}
        return Recipe(**common, model=model)


class Pictures(torch.utils.data.Dataset):
    """The first n training images as torchvision's data sets give them: PIL, then transforms."""

    def __init__(self, dataset: data.Dataset, n: int, augment: bool = True):
        self.pixels = dataset.train.images[:n].permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = dataset.train.labels[:n].tolist()
        moves = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        scale = [transforms.ToTensor(), transforms.Normalize(dataset.mean, dataset.std)]
        self.transform = transforms.Compose(moves * augment + scale)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, at: int) -> tuple[torch.Tensor, int]:
        return self.transform(to_pil_image(self.pixels[at])), self.labels[at]


def tutorial_loss(
    logits: torch.Tensor, labels: torch.Tensor, teacher_logits: torch.Tensor | None = None
) -> torch.Tensor:
    """The tutorial's loss: cross-entropy, and with a teacher the summed KL over B, times T^2."""
    hard = F.cross_entropy(logits, labels)
    if teacher_logits is None:
        return hard
    p = F.softmax(teacher_logits / TEMPERATURE, dim=-1)
    log_q = F.log_softmax(logits / TEMPERATURE, dim=-1)
    soft = torch.sum(p * (p.log() - log_q)) / len(logits) * TEMPERATURE**2
    return ALPHA * soft + (1 - ALPHA) * hard


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def tutorial_way(setting: Setting, model: str, teacher: nn.Module | None = None) -> Way:
    """Seconds of n / batch training steps as the tutorial takes them, after LEAD untimed ones."""
    device, batch = setting.device, setting.batch

    def way(n: int) -> float:
        pictures = Pictures(setting.dataset, n)
        # A few batches more than are timed: the workers stay busy to the end, as in a long epoch.
        sampler = RandomSampler(pictures, num_samples=n + (LEAD + 2 * WORKERS) * batch)
        loader = DataLoader(pictures, batch, sampler=sampler, num_workers=WORKERS)
        net = build_net(setting.recipe(model), setting.dataset).to(device).train()
        optimizer = torch.optim.Adam(net.parameters(), lr=LR)
        total, start = 0.0, 0.0
        for step, (x, y) in enumerate(loader, start=1):
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            answer = None
            if teacher is not None:
                with torch.no_grad():
                    answer = teacher(x)
            loss = tutorial_loss(net(x), y, answer)
            loss.backward()
            optimizer.step()
            total += loss.item()
            if step == LEAD:
                _wait(device)
                start = time.perf_counter()
            if step == LEAD + n // batch:
                break
        _wait(device)
        return time.perf_counter() - start

    return way


def our_way(
    setting: Setting, model: str, logits: Callable[[Recipe], Callable] | None = None
) -> Way:
    """Seconds of one epoch of `fit`. logits: a recipe to its epoch -> teacher's logits."""

    def way(n: int) -> float:
        recipe = replace(setting.recipe(model, taught=logits is not None), n_train=n)
        answers = logits(recipe) if logits else None
        _wait(setting.device)
        return fit(recipe, setting.dataset, answers, device=setting.device).seconds

    return way


def interleave(label: str, ways: dict[str, tuple[int, Way]], setting: Setting) -> Rounds:
    """Each way once on two batches, untimed; then all of them in turn, a round at a time."""
    for _, way in ways.values():
        way(2 * setting.batch)
    rounds = {name: {"images": n, "seconds": []} for name, (n, _) in ways.items()}
    for _ in tqdm(range(setting.repeats), label, leave=False, disable=None):
        for name, (n, way) in ways.items():
            rounds[name]["seconds"].append(way(n))
    return rounds


def _spread(values: Sequence[float]) -> dict[str, float]:
    found = {"median": median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in found.items()}


def _per_image(way: dict) -> np.ndarray:
    return np.array(way["seconds"]) / way["images"]


def _report(what: str, rounds: Rounds, pairs: Sequence[tuple[str, str]]) -> dict:
    """A part: its ways, and of each pair the ratio of their seconds an image, round by round."""
    ways = {
        name: {
            "images": way["images"],
            "seconds": [round(s, 4) for s in way["seconds"]],
            "epoch_seconds": _spread(_per_image(way) * EPOCH_IMAGES),
        }
        for name, way in rounds.items()
    }
    ratios = {
        f"{a} / {b}": _spread(_per_image(rounds[a]) / _per_image(rounds[b])) for a, b in pairs
    }
    return {"what": what, "ways": ways, "ratios": ratios}


def distil(setting: Setting, with_tutorial: bool) -> Rounds:
    """The ways of part a, and the teacher's pass within the live one."""
    device, dataset = setting.device, setting.dataset
    net = build_net(setting.recipe(setting.teacher), dataset).to(device).eval()
    passes: list[float] = []

    def live(recipe: Recipe):
        knowledge = Knowledge(recipe, dataset, Store(), [net], device)

        def answer(epoch: int) -> torch.Tensor:
            _wait(device)
            start = time.perf_counter()
            logits = knowledge.live(epoch).half()
            _wait(device)
            passes.append(time.perf_counter() - start)
            return logits

        return answer

    def stored(recipe: Recipe):
        logits = torch.randn(recipe.n_train, len(dataset.classes)).half()
        return lambda epoch: logits

    ways = {
        "tutorial": (setting.images["a tutorial"], tutorial_way(setting, setting.student, net)),
        "live": (setting.images["a live"], our_way(setting, setting.student, live)),
        "stored": (setting.images["a stored"], our_way(setting, setting.student, stored)),
    }
    if not with_tutorial:
        del ways["tutorial"]
    rounds = interleave("distillation", ways, setting)
    taken = {"images": setting.images["a live"], "seconds": passes[-setting.repeats :]}
    return rounds | {"teacher pass": taken}


def _part_a(rounds: Rounds) -> dict:
    pairs = [("tutorial", "stored"), ("tutorial", "live"), ("live", "stored")]
    return _report(PARTS["a"], rounds, pairs)


def _part_b(setting: Setting) -> dict:
    rounds, pairs = {}, []
    for role, model in (("teacher", setting.teacher), ("student", setting.student)):
        names = f"{model} tutorial", f"{model} ours"
        ways = (tutorial_way(setting, model), our_way(setting, model))
        counts = (setting.images[f"b {role} tutorial"], setting.images[f"b {role} ours"])
        jobs = dict(zip(names, zip(counts, ways, strict=True), strict=True))
        rounds |= interleave(f"{model}, hard labels", jobs, setting)
        pairs.append(names)
    return _report(PARTS["b"], rounds, pairs)


def flop_per_image(model: str, dataset: data.Dataset) -> float:
    """FLOP of one image's forward and backward pass; a multiply-add counts as two."""
    net = models.build(model, dataset.in_shape, len(dataset.classes)).to("meta").train()
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(2, *dataset.in_shape, device="meta")).sum().backward()
    return counter.get_total_flops() / 2


def _part_c(setting: Setting) -> dict:
    device = setting.device

    def product(dtype: torch.dtype, size: int) -> Way:
        """Seconds of one square matrix product, whatever the number of images."""
        a, b = torch.randn(2, size, size, device=device).to(dtype)

        def way(_: int) -> float:
            _wait(device)
            start = time.perf_counter()
            a @ b
            _wait(device)
            return time.perf_counter() - start

        return way

    ways = {"ours": (setting.images["c"], our_way(setting, setting.teacher))}
    dtypes = {"bfloat16": torch.bfloat16, "float32": torch.float32}
    for name, dtype in dtypes.items():
        for size in setting.products:
            ways[f"{name} {size}"] = (1, product(dtype, size))
    rounds = interleave("arithmetic rate", ways, setting)
    flop = flop_per_image(setting.teacher, setting.dataset)
    rates = {"ours": flop / _per_image(rounds["ours"]) / 1e9}
    for name in dtypes:
        by_size = [2e-9 * n**3 / _per_image(rounds[f"{name} {n}"]) for n in setting.products]
        rates[f"{name} product"] = np.max(by_size, axis=0)  # the better size of each round
    peaks = {name: max(rates[f"{name} product"]) for name in dtypes}
    part = _report(PARTS["c"], {"ours": rounds["ours"]}, [])
    part["ratios"] = {
        f"ours / {name} peak": _spread(rates["ours"] / peak) for name, peak in peaks.items()
    }
    return part | {
        "gflop_per_image": round(flop / 1e9, 6),
        "gflops": {name: _spread(values) for name, values in rates.items()},
        "peak_gflops": {name: float(f"{peak:.4g}") for name, peak in peaks.items()},
    }


def _part_d(rounds: Rounds) -> dict:
    """Seconds of n settings: a teacher in every epoch of each, or one pass over V views for all."""
    student, teacher = (
        _per_image(rounds[name]) * EPOCH_IMAGES for name in ("stored", "teacher pass")
    )
    part = _report(PARTS["d"], {}, [])
    part |= {"epochs": SWEEP_EPOCHS, "views": SWEEP_VIEWS, "rows": []}
    for n in SWEEP:
        live = n * SWEEP_EPOCHS * (student + teacher)
        stored = SWEEP_VIEWS * teacher + n * SWEEP_EPOCHS * student
        costs = {"live_seconds": _spread(live), "stored_seconds": _spread(stored)}
        part["rows"].append({"settings": n} | costs)
        part["ratios"][f"live / stored, n = {n}"] = _spread(live / stored)
    return part


def _peak_bytes() -> int:
    """The most memory this process has held.

    Linux keeps it per program in /proc; its ru_maxrss counts what the parent held before exec.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def memory_child(recipe: dict, threads: int, device: str) -> None:
    """Train by a recipe in this process and print its peaks: what part e starts."""
    torch.set_num_threads(threads)
    wanted, device = Recipe.from_dict(recipe), torch.device(device)
    dataset = data.load(wanted.dataset)
    n = wanted.n_train or len(dataset.train)
    logits = torch.randn(n, len(dataset.classes)).half()
    fit(wanted, dataset, lambda epoch: logits, device=device)
    gpu = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else None
    peaks = {"images": n, "epochs": wanted.epochs}
    print(json.dumps(peaks | {"peak_gb": round(_peak_bytes() / 1e9, 3), "gpu_peak_gb": gpu}))


def _part_e(setting: Setting, n: int | None) -> dict:
    recipe = replace(setting.recipe(setting.student, taught=True), epochs=MEMORY_EPOCHS, n_train=n)
    call = f"{recipe.as_dict()!r}, {torch.get_num_threads()}, {str(setting.device)!r}"
    code = f"from experiments import bench; bench.memory_child({call})"
    environment = os.environ | {"TQDM_DISABLE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT / "notebooks",
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise OSError(f"the process of part e failed: {done.stderr.strip().splitlines()[-1:]}")
    return _report(PARTS["e"], {}, []) | json.loads(done.stdout.splitlines()[-1])


def _checked(only: Sequence[str] | None, repeats: int, dataset: str | None, out: Path) -> list[str]:
    parts = list(PARTS) if only is None else sorted(set(only))
    for part in parts:
        if part not in PARTS:
            there_are = ", ".join(f"{name} ({what})" for name, what in PARTS.items())
            raise ValueError(
                f"--only {part!r} is no part of the benchmark. There are: {there_are}."
            )
    if repeats < 5:
        raise ValueError(f"--repeats {repeats} must be at least 5: a median of fewer says little.")
    if dataset not in (None, *DATASETS):
        raise ValueError(f"--dataset {dataset!r} must be one of {list(DATASETS)}.")
    if out.is_dir():
        raise ValueError(f"--out {str(out)!r} is a folder: name the JSON file to write.")
    if sys.platform == "win32" and "e" in parts:
        if only:
            raise ValueError("--only 'e' reads the peak memory as Unix gives it: not on Windows.")
        parts.remove("e")
    return parts


def run(
    only: Sequence[str] | None = None,
    repeats: int = 5,
    dataset: str | None = None,
    quick: bool = False,
    out: Path | None = None,
) -> dict:
    """Measure, write the JSON (the module's text has its schema) and return it.

    only: letters of PARTS; None for all. dataset: None for cifar10 where its files lie, bayes10
    elsewhere. quick: tiny networks and counts, to see that it runs. Raises ValueError for an
    unknown part or data set, or fewer than five repeats.
    """
    out = Path(out or OUT)
    parts = _checked(only, repeats, dataset, out)
    out.parent.mkdir(parents=True, exist_ok=True)
    began, notes = time.perf_counter(), []
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    if load is not None and load > BUSY:
        notes.append(
            f"Load average {load} at the start: something else runs here. The ways take turns, so "
            "ratios are still fair, roughly; absolute times are not."
        )
    if quick:
        notes.append("--quick: tiny networks and counts. These numbers mean nothing.")
    if dataset is None:
        there = (data.folder() / "cifar-10-batches-py").exists()
        dataset = "cifar10" if there and not quick else "bayes10"
    if dataset != "cifar10":
        notes.append(
            f"Images of {dataset} in place of CIFAR-10's: of the same shape, so of the same speed."
        )
    device = pick_device()
    loaded = data.load(dataset)
    batch = QUICK_BATCH if quick else BATCH
    most = 2 * batch if quick else len(loaded.train) // batch * batch
    counts = {name: min(n, most) for name, n in IMAGES[device.type].items()}
    one = loaded.val.take(torch.tensor([0]))
    width = "-w4" if quick else ""
    setting = Setting(
        dataset=replace(loaded, val=one),  # `fit` looks at it after the epoch: that costs nothing
        device=device,
        teacher=f"resnet18{width}",
        student=f"cnn5{width}",
        images=counts,
        products=(256, 512) if quick else PRODUCTS[device.type],
        batch=batch,
        repeats=repeats,
    )
    for note in notes:
        print(note, flush=True)
    rounds = distil(setting, with_tutorial="a" in parts) if {"a", "d"} & set(parts) else {}
    measure = {
        "a": lambda: _part_a(rounds),
        "b": lambda: _part_b(setting),
        "c": lambda: _part_c(setting),
        "d": lambda: _part_d(rounds),
        "e": lambda: _part_e(setting, most if quick else None),
    }
    results = {part: measure[part]() for part in parts}
    result = {
        "quick": quick,
        "notes": notes,
        "date": datetime.date.today().isoformat(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load": load,
        "dataset": dataset,
        "teacher": setting.teacher,
        "student": setting.student,
        "repeats": repeats,
        "batch": batch,
        "epoch_images": EPOCH_IMAGES,
        "seconds": round(time.perf_counter() - began, 1),
        "parts": results,
    }
    out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def tables(result: dict) -> str:
    """A result as text: seconds an epoch of each way, the ratios, and what else the parts hold."""
    ways, ratios, rest = [], [], []
    for letter, part in result["parts"].items():
        for name, way in part["ways"].items():
            row = {"part": letter, "way": name, "images timed": way["images"]}
            ways.append(row | way["epoch_seconds"])
        for name, ratio in part["ratios"].items():
            ratios.append({"part": letter, "ratio": name} | ratio)
    parts = result["parts"]
    if "c" in parts:
        peaks = ", ".join(f"{name} {peak:g}" for name, peak in parts["c"]["peak_gflops"].items())
        rest.append(
            f"c: ours {parts['c']['gflops']['ours']['median']:g} GFLOP/s at "
            f"{parts['c']['gflop_per_image']:g} GFLOP an image; best matrix product: {peaks}."
        )
    if "d" in parts:
        rest += [
            f"d: n = {row['settings']}, {parts['d']['epochs']} epochs each: teacher live "
            f"{row['live_seconds']['median'] / 60:.3g} min, {parts['d']['views']} views stored "
            f"once {row['stored_seconds']['median'] / 60:.3g} min."
            for row in parts["d"]["rows"]
        ]
    if "e" in parts:
        e = parts["e"]
        gpu = f", {e['gpu_peak_gb']:.2f} GB on the GPU" if e["gpu_peak_gb"] else ""
        rest.append(
            f"e: {e['peak_gb']:.2f} GB at most{gpu}: {result['student']}, {e['images']:,} images, "
            f"{e['epochs']} epochs."
        )
    shown = [
        f"{result['device']}, {result['threads']} threads, torch {result['torch']}, "
        f"{result['dataset']}, teacher {result['teacher']}, student {result['student']}; "
        f"{result['repeats']} rounds; {result['seconds']:.0f} s in all."
    ]
    if ways:
        shown.append(
            f"Seconds an epoch of {result['epoch_images']:,} images, by proportion from the images "
            f"timed:\n{pd.DataFrame(ways).to_string(index=False)}"
        )
    if ratios:
        text = pd.DataFrame(ratios).to_string(index=False, float_format=lambda x: f"{x:.3g}")
        shown.append(f"Ratios, each within a round:\n{text}")
    return "\n\n".join([*shown, "\n".join(rest)] if rest else shown)


def command(more: Sequence[str], only: Sequence[str], out: Path | None, **options) -> list[str]:
    """`python -m kdutils bench`: the tables of the parts `only` and `more` (none: all), as lines."""
    result = run([*only, *more] or None, out=out, **options)
    return [tables(result), "", f"Written to {out or OUT}."]
