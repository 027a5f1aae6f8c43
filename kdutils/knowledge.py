"""A teacher's logits over views, stored once: students of any loss or temperature learn from them.

In: teachers, a data set, a kind of view. Out: `Knowledge`, which gives the logits of the view of an
epoch: read where stored, asked of the live teacher where not.
"""

import hashlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from . import bayes10, data, views
from .recipes import Recipe
from .training import base_split, predict


class Knowledge:
    """The logits that a recipe's teachers give on each view of its images.

    `nets` is called when a view is not stored yet and returns the teachers' networks. Where there
    are several, their logits are averaged (the geometric mean of their probabilities; Hinton et al.
    2015, section 5.1). One file a view, [N, classes], in float16.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: data.Dataset,
        nets: Callable[[], list[nn.Module]],
        folder: Path,
        device: torch.device,
    ):
        self.recipe, self.dataset, self.nets, self.device = recipe, dataset, nets, device
        who = " ".join(teacher.id for teacher in recipe.teachers)
        what = f"{recipe.dataset} {recipe.train_on} {recipe.n_train} {recipe.views}"
        seed = recipe.view_seed if recipe.views != "none" else ""
        name = hashlib.sha256(f"{who} {what} {seed}".encode()).hexdigest()[:16]
        self.folder = folder / name
        self._still: tuple[Path, torch.Tensor] | None = None
        self._loaded: list[nn.Module] | None = None

    def path(self, view: int) -> Path:
        return self.folder / f"view-{view:04}.safetensors"

    def logits(self, epoch: int) -> torch.Tensor:
        """The teachers' logits for this epoch's view: float16 [N, classes], N the whole split."""
        view = epoch if self.recipe.views != "none" else 0
        path = self.path(view)
        if self._still and self._still[0] == path:
            return self._still[1]
        if path.exists():
            values = load_file(path)["logits"]
        else:
            values = self.live(view).half().cpu()
            if not torch.isfinite(values).all():
                raise ValueError(
                    f"the teacher's logits for view {view} do not fit into float16 or are not "
                    "finite; there is nothing to learn from it."
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            save_file({"logits": values}, part)
            os.replace(part, path)
        self._still = path, values
        return values

    def live(self, view: int) -> torch.Tensor:
        """What the teachers say now about a view: float32 [N, classes]."""
        split = base_split(self.recipe, self.dataset).to(self.device)
        images = views.epoch_view(split.images, self.recipe.views, self.recipe.view_seed, view)
        return self.answers(images)

    def answers(self, images: torch.Tensor) -> torch.Tensor:
        """What the teachers say about any images, uint8 [N, C, H, W]: float32 [N, classes]."""
        if self._loaded is None:
            self._loaded = [net.to(self.device) for net in self.nets()]
        images = images.to(self.device)
        pairs = zip(self._loaded, self.recipe.teachers, strict=True)
        answers = [predict(net, images, self.dataset, t.precision) for net, t in pairs]
        return torch.stack(answers).mean(dim=0)


@lru_cache(maxsize=8)
def log_posterior(split: str, n: int | None = None) -> torch.Tensor:
    """The perfect teacher's logits on a split of bayes10: log p(y given x), at least -50.

    split: "train", "val", "test" or "all"; n: only the first so many images. Returns float32
    [N, 10]. Computed once a process: 5,000 images take a second or two.
    """
    images = getattr(data.load("bayes10"), split).images[:n]
    return bayes10.posterior(images).log().clamp(min=-50).float()
