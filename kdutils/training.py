"""`fit`, the only training loop of the course.

In: a recipe, its data set and, for a student, its teacher's logits. Out: a trained network and its
curve. A run's randomness is a function of (seed, epoch), so that a resumed run ends where an
uninterrupted one would.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from . import data, losses, metrics, models, views
from .progress import Progress
from .recipes import Recipe

TeacherLogits = Callable[[int], torch.Tensor]  # epoch -> logits [N, classes] on that epoch's view
CHECKPOINT_SECONDS = 30
PREPARE_IMAGES = 5_000


class NotFinite(ArithmeticError):
    """The loss became infinite or not a number: the run has no result."""


@dataclass
class Fitted:
    """A trained network, one dict an epoch, and the seconds it took."""

    net: nn.Module
    curve: list[dict[str, float]]
    seconds: float


class OutOfMemory(MemoryError):
    """The GPU's memory does not hold a run."""


def pick_device() -> torch.device:
    """The first CUDA device, or the CPU; KDUTILS_DEVICE ("cpu" or "cuda") decides otherwise.

    Raises ValueError for another value, or where a GPU is asked for and there is none.
    """
    wanted = os.environ.get("KDUTILS_DEVICE") or None
    if wanted not in (None, "cpu", "cuda"):
        raise ValueError(f'KDUTILS_DEVICE = {wanted!r} must be "cpu" or "cuda", or not be set.')
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            "KDUTILS_DEVICE asks for a GPU, but PyTorch finds none here. Unset it to use the CPU "
            "(then choose the profile laptop or smoke), or install a driver and a CUDA build."
        )
    return torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))


def base_split(recipe: Recipe, dataset: data.Dataset) -> data.Split:
    """The images that views and stored knowledge are counted over: [N] in a fixed order."""
    split = dataset.all if recipe.train_on == "all" else dataset.train
    if recipe.n_train is None:
        return split
    if recipe.n_train > len(split):
        raise ValueError(
            f"n_train = {recipe.n_train} is more than the {len(split)} images of {dataset.name}."
        )
    return data.Split(split.images[: recipe.n_train], split.labels[: recipe.n_train])


def transfer_index(recipe: Recipe, dataset: data.Dataset) -> torch.Tensor:
    """The positions in `base_split` that a recipe learns from: all, less the classes left out."""
    labels = base_split(recipe, dataset).labels
    left_out = torch.tensor(recipe.without_classes, dtype=labels.dtype)
    return torch.nonzero(~torch.isin(labels, left_out))[:, 0]


def build_net(recipe: Recipe, dataset: data.Dataset) -> nn.Module:
    """The recipe's network, freshly initialised from its seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return models.build(
            recipe.model, dataset.in_shape, len(dataset.classes), dropout=recipe.dropout
        )


def optimizer_for(recipe: Recipe, net: nn.Module) -> torch.optim.Optimizer:
    learned = [p for p in net.parameters() if p.requires_grad]
    options = {"lr": recipe.lr, "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimizer in ("sgd", "nesterov"):
        nesterov = recipe.optimizer == "nesterov"
        return torch.optim.SGD(learned, momentum=recipe.momentum, nesterov=nesterov, **options)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    return kind(learned, **options)


def scheduler_for(
    recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    kind = torch.optim.lr_scheduler
    if recipe.schedule == "one-cycle":
        return kind.OneCycleLR(optimizer, recipe.lr, total_steps=steps, cycle_momentum=False)
    if recipe.schedule == "cosine":
        return kind.CosineAnnealingLR(optimizer, steps)
    return kind.LambdaLR(optimizer, lambda step: 1.0)


@torch.no_grad()
def predict(
    net: nn.Module,
    images: torch.Tensor,
    dataset: data.Dataset,
    precision: str = "float32",
    batch: int = 250,
) -> torch.Tensor:
    """Logits of a network in evaluation mode: float32 [N, classes] on the images' device.

    images: uint8 [N, C, H, W], or float32 that `data.normalise` has made of them.
    """
    net.eval()
    low = precision == "bfloat16"
    with torch.autocast(images.device.type, torch.bfloat16, enabled=low):
        parts = []
        for part in images.split(batch):
            x = data.normalise(part, dataset) if part.dtype == torch.uint8 else part
            if net.channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            parts.append(net(x).float())
        return torch.cat(parts)


def fit(
    recipe: Recipe,
    dataset: data.Dataset,
    teacher_logits: TeacherLogits | None = None,
    checkpoint: Path | None = None,
    device: torch.device | None = None,
    net: nn.Module | None = None,
) -> Fitted:
    """Train one network by its recipe.

    teacher_logits: called with the epoch, returns logits [N, classes] for that epoch's view of the
    transfer set. checkpoint: a file to save to every half minute and to resume from. net: a network
    to start from instead of a fresh one. Raises NotFinite, with recipe, epoch and step, as soon as
    an epoch held a loss that is not finite; ValueError where the recipe needs a teacher and there
    is none.
    """
    if recipe.needs_teacher and teacher_logits is None:
        raise ValueError(f"{recipe.id} learns from a teacher, but teacher_logits is None.")
    device = device or pick_device()
    net = (net or build_net(recipe, dataset)).to(device)
    if net.channels_last:
        net.to(memory_format=torch.channels_last)
    index = transfer_index(recipe, dataset)
    train = base_split(recipe, dataset).take(index).to(device)
    index = index.to(device)
    if recipe.n_labels is not None:
        nothing = torch.full_like(train.labels, losses.NO_LABEL)
        train = data.Split(train.images, train.labels.where(index < recipe.n_labels, nothing))
    if hasattr(net, "prepare"):  # filters that are computed from images, not learned
        net.prepare(data.normalise(train.images[:PREPARE_IMAGES], dataset))
    val = dataset.val.to(device)
    val_x = data.normalise(val.images, dataset)  # once, not every epoch
    test = dataset.test.to(device) if recipe.watch_test else None
    steps = -(-len(train) // recipe.batch_size)
    optimizer = optimizer_for(recipe, net)
    scheduler = scheduler_for(recipe, optimizer, steps * recipe.epochs)
    curve: list[dict[str, float]] = []
    seconds_before = 0.0
    if checkpoint and checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
        scheduler.load_state_dict(saved["scheduler"])
        curve, seconds_before = saved["curve"], saved["seconds"]

    classes = len(dataset.classes)
    start = last_saved = time.perf_counter()
    with Progress(recipe.label, total=recipe.epochs, initial=len(curve)) as progress:
        for epoch in range(len(curve), recipe.epochs):
            shuffle = torch.Generator().manual_seed(_stream(recipe.seed, epoch, 1))
            order = torch.randperm(len(train), generator=shuffle).to(device)
            view = recipe.view(epoch)
            images = views.epoch_view(train.images, recipe.views, recipe.view_seed, view, index)
            soft = teacher_logits(epoch).to(device) if recipe.needs_teacher else None
            if recipe.needs_teacher and len(soft) != len(train):
                raise ValueError(
                    f"{recipe.id}: the teacher answered for {len(soft)} images, but the transfer "
                    f"set holds {len(train)}. Knowledge and recipe must name the same images."
                )
            step_losses = torch.zeros(steps, device=device)  # read once an epoch: no sync a step
            net.train()
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed(_stream(recipe.seed, epoch, 2))  # dropout
                for step, batch in enumerate(order.split(recipe.batch_size)):
                    x = data.normalise(images[batch], dataset)
                    if net.channels_last:
                        x = x.contiguous(memory_format=torch.channels_last)
                    low = recipe.precision == "bfloat16"
                    with torch.autocast(device.type, torch.bfloat16, enabled=low):
                        logits = net(x)
                    logits = logits.float()
                    y = train.labels[batch]
                    if soft is not None:
                        loss = losses.kd_loss(
                            logits,
                            soft[batch].float(),
                            y if recipe.alpha < 1 else None,
                            recipe.temperature,
                            recipe.alpha,
                            recipe.soft_scale,
                        )
                    else:
                        loss = losses.soft_cross_entropy(
                            logits, losses.smoothed_targets(y, classes, recipe.label_smoothing)
                        )
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    optimizer.step()
                    scheduler.step()
                    step_losses[step] = loss.detach()
            finite = torch.isfinite(step_losses)
            if not finite.all():
                step = int((~finite).nonzero()[0])
                raise NotFinite(
                    f"{recipe.id}: the loss is {float(step_losses[step])} in epoch {epoch + 1}, "
                    f"step {step + 1} of {steps}. Lower lr (now {recipe.lr}), or use "
                    'precision="float32".'
                )
            val_logits = predict(net, val_x, dataset, recipe.precision)
            curve.append(
                {
                    "epoch": epoch + 1,
                    "train_loss": round(float(step_losses.mean()), 6),
                    "val_errors": metrics.errors(val_logits, val.labels),
                    "val_nll": round(metrics.nll(val_logits, val.labels), 6),
                    "lr": scheduler.get_last_lr()[0],
                }
            )
            if test is not None:
                seen = predict(net, test.images, dataset, recipe.precision)
                curve[-1]["test_errors"] = metrics.errors(seen, test.labels)
            progress.step(f"val errors {curve[-1]['val_errors']}")
            now = time.perf_counter()
            done = epoch + 1 == recipe.epochs
            if checkpoint and not done and now - last_saved > CHECKPOINT_SECONDS:
                _save(checkpoint, net, optimizer, scheduler, curve, seconds_before + now - start)
                last_saved = now
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return Fitted(net, curve, seconds_before + time.perf_counter() - start)


def _stream(seed: int, epoch: int, purpose: int) -> int:
    """A 32-bit seed for one purpose in one epoch."""
    return int(views.hash32(torch.tensor(seed), epoch, purpose))


def _save(path: Path, net, optimizer, scheduler, curve, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    torch.save(
        {
            "net": net.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "curve": curve,
            "seconds": seconds,
        },
        part,
    )
    os.replace(part, path)
