"""`fit`, the only training loop of the course.

In: a recipe, its data set and, for a student, its teacher's logits. Out: a trained network and its
curve. A run's randomness is a function of (seed, epoch), so that a resumed run ends where an
uninterrupted one would.
"""

import functools
import hashlib
import io
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn, optim
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LambdaLR, OneCycleLR

from . import data, losses, metrics, models, views
from .recipes import Recipe
from .store import reading, write

TeacherLogits = Callable[[int], Tensor]  # epoch (from 0) -> logits [N, classes] on its view
OnStep = Callable[[float], None]  # called after each step: how many epochs are done
CHECKPOINT_SECONDS = 5
PREPARE_IMAGES = 5_000
PREDICT_BATCH = 250
OPTIMIZERS = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD, "nesterov": optim.SGD}
SCHEDULES = {  # optimizer, steps -> scheduler
    "constant": lambda optimizer, _: ConstantLR(optimizer, factor=1.0),
    "cosine": CosineAnnealingLR,
    # halved after each third of the run: of 15 epochs, StepLR(5 epochs, 0.5)
    "step": lambda optimizer, steps: LambdaLR(optimizer, lambda step: 0.5 ** (3 * step // steps)),
    "one-cycle": lambda optimizer, steps: OneCycleLR(
        optimizer, optimizer.defaults["lr"], total_steps=steps, cycle_momentum=False
    ),
}


class NotFinite(ArithmeticError):
    """The loss became infinite or not a number: the run has no result."""


class Interrupted(KeyboardInterrupt):
    """A run was stopped by hand. One line says what is kept; Jupyter shows it without a trace."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def pick_device() -> torch.device:
    """The first CUDA device, or the CPU; KDUTILS_DEVICE ("cpu" or "cuda") decides otherwise."""
    gpu = torch.cuda.is_available()
    wanted = os.environ.get("KDUTILS_DEVICE") or ("cuda" if gpu else "cpu")
    if wanted not in ("cpu", "cuda") or (wanted == "cuda" and not gpu):
        raise ValueError(
            f'KDUTILS_DEVICE = {wanted!r} must be "cpu", or "cuda" where PyTorch finds a GPU (here '
            f"it finds {'one' if gpu else 'none: that takes a driver and a CUDA build'}), or unset."
        )
    return torch.device(wanted)


def transfer_set(recipe: Recipe, dataset: data.Dataset) -> tuple[data.Split, Tensor]:
    """The images that views and stored knowledge are counted over, in a fixed order.

    With the positions [N] among them that the recipe learns from: all, less the classes left out.
    """
    split = dataset.all if recipe.train_on == "all" else dataset.train
    if recipe.n_train is not None and recipe.n_train > len(split):
        raise ValueError(
            f"n_train = {recipe.n_train} is more than the {len(split)} images of {dataset.name}."
        )
    split = split.take(slice(recipe.n_train))
    left_out = torch.tensor(recipe.without_classes, dtype=split.labels.dtype)
    return split, torch.nonzero(~torch.isin(split.labels, left_out))[:, 0]


def epoch_seed(seed: int, epoch: int, purpose: int) -> int:
    """A 32-bit seed for one purpose in one epoch: 1 the order of the images, 2 dropout."""
    return int(views.hash32(torch.tensor(seed), epoch, purpose))


def epoch_order(seed: int, epoch: int, n: int) -> Tensor:
    """The order in which a run of this seed sees its n images in an epoch (from 0): int64 [n]."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(epoch_seed(seed, epoch, 1)))


def build_net(recipe: Recipe, dataset: data.Dataset) -> nn.Module:
    """The recipe's network, freshly initialised from its seed."""
    classes = len(dataset.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return models.build(recipe.model, dataset.in_shape, classes, dropout=recipe.dropout)


@functools.cache
def has_bfloat16(kind: str) -> bool:
    """Whether such a device ("cpu", "cuda") has instructions for bfloat16; every GPU counts.

    Without them a CPU imitates it, many times slower than it computes float32.
    """
    found = torch.cpu.get_capabilities() if kind == "cpu" else {"bf16": True}
    return any(here for name, here in found.items() if "bf16" in name)


def forward(net: nn.Module, x: Tensor, precision: str) -> Tensor:
    """A network's logits for normalised images [B, C, H, W]: float32 [B, classes].

    In float32 as well where bfloat16 is asked for and `has_bfloat16` says no.
    """
    if getattr(net, "channels_last", False):
        x = x.contiguous(memory_format=torch.channels_last)
    low = precision == "bfloat16" and has_bfloat16(x.device.type)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=low):
        return net(x).float()


@torch.no_grad()
def predict(
    net: nn.Module, images: Tensor, dataset: data.Dataset, precision: str = "float32"
) -> Tensor:
    """Logits of a network in evaluation mode, for images uint8 [N, C, H, W].

    Returns float32 [N, classes] on the images' device, whatever the network's.
    """
    net.eval()
    device = next(net.parameters(), images).device
    parts = (data.normalise(part.to(device), dataset) for part in images.split(PREDICT_BATCH))
    return torch.cat([forward(net, x, precision) for x in parts]).to(images.device)


def fit(
    recipe: Recipe,
    dataset: data.Dataset,
    teacher_logits: TeacherLogits | None = None,
    checkpoint: Path | None = None,
    device: torch.device | None = None,
    on_step: OnStep | None = None,
    teacher: nn.Module | None = None,
) -> "Run":
    """Train one network by its recipe: the run, with its `net`, `curve` and `seconds`.

    checkpoint: a file to resume from, saved after the first epoch and then every few seconds.
    teacher: the network itself, where the loss `looks_inside`: the student's method `meet` gets it.
    Raises NotFinite, with recipe, epoch and step, after an epoch with a loss that is not finite;
    ValueError where a teacher is missing, cannot be met, or `check` fails; Interrupted when stopped
    by hand.
    """
    if recipe.needs_teacher and teacher_logits is None:
        raise ValueError(f"{recipe.id} learns from a teacher, but teacher_logits is None.")
    device = device or pick_device()
    check(recipe, dataset, device)
    run = Run(recipe, dataset, device)
    if recipe.looks_inside:
        if {t.dataset for t in recipe.teachers} != {recipe.dataset}:
            raise ValueError(
                f"{recipe.id}: loss = {recipe.loss!r} shows the teacher the student's images, "
                f"normalised as those of {recipe.dataset!r}; its teacher must have learned from "
                f"that, not from {recipe.teachers[0].dataset!r}."
            )
        if teacher is None or not hasattr(run.net, "meet"):
            raise ValueError(
                f"{recipe.id}: loss = {recipe.loss!r} looks inside a teacher. Give its network, "
                f"teacher (now {teacher!r:.20}), to a student with a method `meet(teacher)`."
            )
        run.net.meet(teacher.to(device).eval())
    if checkpoint and checkpoint.exists():
        run.resume(checkpoint)
    kept, saved = len(run.curve), -math.inf
    try:
        while len(run.curve) < recipe.epochs:
            run.epoch(teacher_logits, on_step)
            if checkpoint and time.perf_counter() - saved > CHECKPOINT_SECONDS:
                run.save(checkpoint)
                kept, saved = len(run.curve), time.perf_counter()
    except KeyboardInterrupt:
        raise Interrupted(
            f"Stopped after epoch {len(run.curve)} of {recipe.epochs} of {recipe.label}; {kept} "
            "of them are kept: run the cell again to go on."
        ) from None
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return run


class Run:
    """A run: its `net`, its `curve` (one dict an epoch) and the `seconds` that those took."""

    KEPT = "net", "optimizer", "scheduler"  # in a checkpoint, beside curve and seconds

    def __init__(self, recipe: Recipe, dataset: data.Dataset, device: torch.device):
        self.recipe, self.dataset, self.device = recipe, dataset, device
        self.curve: list[dict[str, float]] = []
        self.seconds = 0.0
        split, index = transfer_set(recipe, dataset)
        split = split.take(index)
        if recipe.n_labels is not None:
            labels = split.labels.masked_fill(index >= recipe.n_labels, losses.NO_LABEL)
            split = data.Split(split.images, labels)
        self.train, self.index = split.to(device), index.to(device)
        self.net = net = build_net(recipe, dataset).to(device)
        if getattr(net, "channels_last", False):
            net.to(memory_format=torch.channels_last)
        if hasattr(net, "prepare"):  # filters that are computed from images, not learned
            net.prepare(data.normalise(self.train.images[:PREPARE_IMAGES], dataset))
        options = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "fused": True}
        if recipe.optimizer in ("sgd", "nesterov"):
            options |= {"momentum": recipe.momentum, "nesterov": recipe.optimizer == "nesterov"}
        learned = [p for p in net.parameters() if p.requires_grad]
        self.optimizer = OPTIMIZERS[recipe.optimizer](learned, **options)
        self.steps = math.ceil(len(index) / recipe.batch_size)  # an epoch
        self.scheduler = SCHEDULES[recipe.schedule](self.optimizer, self.steps * recipe.epochs)

    def save(self, checkpoint: Path) -> None:
        """Write a checkpoint: 32 bytes of SHA-256, then what torch.save writes."""
        state = {name: getattr(self, name).state_dict() for name in self.KEPT}
        buffer = io.BytesIO()
        torch.save(state | {"curve": self.curve, "seconds": self.seconds}, buffer)
        content = buffer.getvalue()
        write(checkpoint, hashlib.sha256(content).digest() + content)

    def resume(self, checkpoint: Path) -> None:
        """Go on where it was saved. Raises store.Damaged where the file is not what was written."""
        with reading(checkpoint) as content:
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                raise ValueError("its checksum does not fit its content")
        saved = torch.load(io.BytesIO(content[32:]), map_location=self.device, weights_only=True)
        for name in self.KEPT:
            getattr(self, name).load_state_dict(saved[name])
        self.curve, self.seconds = saved["curve"], saved["seconds"]

    def epoch(self, teacher_logits: TeacherLogits | None, on_step: OnStep | None) -> None:
        """Train for one epoch and add what came of it to the curve."""
        recipe, epoch, began = self.recipe, len(self.curve), time.perf_counter()
        order = epoch_order(recipe.seed, epoch, len(self.train)).to(self.device)
        images = views.apply(
            self.train.images, recipe.views, recipe.view_seed, recipe.view(epoch), self.index
        )
        soft = teacher_logits(epoch).to(self.device) if recipe.needs_teacher else None
        if soft is not None and len(soft) != len(images):
            raise ValueError(
                f"{recipe.id}: the teacher answered for {len(soft)} images, but the transfer set "
                f"holds {len(images)}. Knowledge and recipe must name the same images."
            )
        self.net.train()
        loss_of, each, (group,) = losses.of(recipe.loss), [], self.optimizer.param_groups
        with torch.random.fork_rng([self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(epoch_seed(recipe.seed, epoch, 2))  # dropout
            for batch in order.split(recipe.batch_size):
                x = data.normalise(images[batch], self.dataset)
                z = forward(self.net, x, recipe.precision)
                t = None if soft is None else soft[batch].float()
                loss = loss_of(z, t, self.train.labels[batch], recipe)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if not (epoch or each):  # 2.14, CPU: a fused step is wrong where layouts differ
                    grads = ((p, p.grad) for p in group["params"] if p.grad is not None)
                    group["fused"] = all(p.is_contiguous() == g.is_contiguous() for p, g in grads)
                self.optimizer.step()
                self.scheduler.step()
                each.append(loss.detach())
                if on_step:
                    on_step(epoch + len(each) / self.steps)
        step_losses = torch.stack(each)  # read once: no sync a step
        wrong = (~torch.isfinite(step_losses)).nonzero()
        if len(wrong):
            raise NotFinite(
                f"{recipe.id}: the loss is {float(step_losses[wrong[0]])} in epoch {epoch + 1}, "
                f"step {int(wrong[0]) + 1} of {self.steps}. Lower lr (now {recipe.lr}), or use "
                'precision="float32".'
            )
        self.curve.append(self._entry(float(step_losses.mean())))
        self.seconds += time.perf_counter() - began

    def _entry(self, train_loss: float) -> dict[str, float]:
        """What the curve says about the epoch that has just ended."""
        val, test, precision = self.dataset.val, self.dataset.test, self.recipe.precision
        z = predict(self.net, val.images, self.dataset, precision)
        entry = {
            "epoch": len(self.curve) + 1,
            "train_loss": round(train_loss, 6),
            "val_errors": metrics.errors(z, val.labels),
            "val_nll": round(metrics.nll(z, val.labels), 6),
            "lr": self.scheduler.get_last_lr()[0],
        }
        if self.recipe.watch_test:
            z = predict(self.net, test.images, self.dataset, precision)
            entry["test_errors"] = metrics.errors(z, test.labels)
        return entry


def check(recipe: Recipe, dataset: data.Dataset, device: torch.device) -> None:
    """Try what a reader registered on a few images, before hours are spent.

    Raises ValueError, with what came and what was expected, where the network does not take the
    images or gives other logits than [batch, classes], or the loss is not a finite scalar that
    depends on the student's logits. A recipe of the course's own parts is not tried, nor one that
    looks inside a teacher, whose network is not here.
    """
    own = {field for field, _, _ in recipe.registered}
    if not own or recipe.looks_inside:
        return
    few = dataset.train.take(slice(8)).to(device)
    x, wanted = data.normalise(few.images, dataset), [len(few), len(dataset.classes)]
    net = build_net(recipe, dataset).to(device).train()
    trying = f"model = {recipe.model!r}"
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            z = forward(net, x, recipe.precision).detach().requires_grad_()
            if "model" in own and list(z.shape) != wanted:
                raise ValueError(f"it gives {list(z.shape)}; it must give logits {wanted}")
            if "loss" not in own:
                return
            trying = f"loss = {recipe.loss!r}"
            t = torch.randn(wanted, device=device) if recipe.needs_teacher else None
            loss = losses.of(recipe.loss)(z, t, few.labels, recipe)
            scalar = isinstance(loss, Tensor) and not loss.ndim
            if not (scalar and loss.requires_grad and loss.isfinite()):
                kind = f"{type(loss).__name__} {list(getattr(loss, 'shape', []))}"
                raise ValueError(
                    f"it gives {loss.item() if scalar else kind}; it must give a finite scalar "
                    "tensor that depends on the student's logits, its first argument"
                )
    except Exception as problem:  # whatever a reader's code raises
        given = f"images {list(x.shape)} of {dataset.name}"
        raise ValueError(f"{trying} fails on {given}: {problem}.") from problem
