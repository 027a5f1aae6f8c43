"""Teachers with weights that somebody else trained: torchvision's on ImageNet, CLIP on captions.

In: a network's name; normalised CIFAR images [B, 3, H, W]. Out: logits [B, classes]. Weights come
from KDUTILS_WEIGHTS, or from PyTorch's own folder, and are downloaded where they are absent.
"""

import copy
import hashlib
import logging
import os
import pickle
import socket
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn
from torchvision import models as zoo

from kdutils.data import PATIENCE, MissingData
from kdutils.models import FAMILIES, Family
from kdutils.models.networks import Shape

# pixels come normalised as those of CIFAR-10; what a network was trained with takes their place
CIFAR10 = (0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OPENAI = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
KEPT = 60_000  # images whose features a frozen network remembers: all of CIFAR once
NAMES = {
    "cifar10": (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )  # fmt: skip
}


class MissingWeights(MissingData):
    """Weights are neither in their folder nor to be downloaded."""


def _first_line(problem: Exception) -> str:
    return next(iter(str(problem).splitlines()), type(problem).__name__)


class Source(NamedTuple):
    """A torchvision network: how it is made, its weights, pixels of its input, where its head is."""

    make: Callable[..., nn.Module]
    weights: zoo.WeightsEnum
    size: int
    head: str


SOURCES = {
    "resnet50": Source(zoo.resnet50, zoo.ResNet50_Weights.IMAGENET1K_V2, 224, "fc"),
    "inception-v3": Source(
        partial(zoo.inception_v3, init_weights=False, transform_input=True),
        zoo.Inception_V3_Weights.IMAGENET1K_V1,
        299,
        "fc",
    ),
    "vit-b-16": Source(zoo.vit_b_16, zoo.ViT_B_16_Weights.IMAGENET1K_V1, 224, "heads.head"),
}


def folder() -> Path:
    """Where weights lie: KDUTILS_WEIGHTS, or where PyTorch keeps what it downloads."""
    return Path(os.environ.get("KDUTILS_WEIGHTS") or Path(torch.hub.get_dir()) / "checkpoints")


def path(name: str) -> Path:
    """Where the weights file of a network in `SOURCES` lies, or would lie."""
    return folder() / Path(SOURCES[name].weights.url).name


def state_dict(name: str) -> dict[str, Tensor]:
    """The ImageNet weights of a network in `SOURCES`, by torchvision's own loader.

    Raises MissingWeights where there is neither file nor network, ValueError for a file that does
    not hold weights.
    """
    weights, patience = SOURCES[name].weights, socket.getdefaulttimeout()
    file = path(name)
    socket.setdefaulttimeout(PATIENCE)
    try:
        found = weights.get_state_dict(model_dir=str(folder()), progress=False, check_hash=True)
    except OSError as failed:  # no answer, no such host, a folder that cannot be written
        raise MissingWeights(
            f"The ImageNet weights of {name} are not in {folder()}, and their download from "
            f"{weights.url} failed ({failed}). Put {file.name} there, or set KDUTILS_WEIGHTS to "
            "the folder that holds it."
        ) from failed
    except (RuntimeError, pickle.UnpicklingError, EOFError) as broken:
        raise ValueError(
            f"{file} holds no weights that PyTorch can read ({_first_line(broken)}). "
            "Delete it; it is downloaded again."
        ) from broken
    finally:
        socket.setdefaulttimeout(patience)
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        kind = type(found).__name__
        raise ValueError(f"{file} holds a {kind}; expected a state dict: names and tensors.")
    return found


def fill(net: nn.Module, weights: dict[str, Tensor], what: str) -> nn.Module:
    """Give a network these weights, which must be of the same architecture; returns it.

    Raises ValueError, which names what differs first.
    """
    ours = {name: tuple(v.shape) for name, v in net.state_dict().items()}
    theirs = {name: tuple(v.shape) for name, v in weights.items()}
    lacking, foreign = [sorted(a.keys() - b.keys()) for a, b in ((ours, theirs), (theirs, ours))]
    other = [name for name in sorted(ours.keys() & theirs.keys()) if ours[name] != theirs[name]]
    if lacking or foreign or other:
        said = []
        if lacking:
            said.append(f"{len(lacking)} tensors are missing, first {lacking[0]!r}")
        if foreign:
            said.append(f"{len(foreign)} are not its own, first {foreign[0]!r}")
        if other:
            k = other[0]
            said.append(f"{len(other)} have another shape, first {k!r}: {list(theirs[k])}, expected {list(ours[k])}")  # fmt: skip
        raise ValueError(f"These are the weights of another architecture than {what}: {'; '.join(said)}.")  # fmt: skip
    net.load_state_dict(weights, assign=True)  # nothing has been computed: `net` was on meta
    return net


@lru_cache(maxsize=3)
def body(name: str) -> tuple[nn.Module, int]:
    """A network with its ImageNet weights but without its head, and how many features it gives."""
    source = SOURCES[name]
    with torch.device("meta"):  # draws no random numbers
        net = source.make(weights=None)
    fill(net, state_dict(name), name)
    if name == "inception-v3":
        net.aux_logits, net.AuxLogits = False, None  # a second head, for its own training
    *inner, last = source.head.split(".")
    owner = net.get_submodule(".".join(inner))
    n = getattr(owner, last).in_features
    setattr(owner, last, nn.Identity())
    return net.eval(), n


class Enlarged(nn.Module):
    """Images normalised as CIFAR-10's are, as a network wants them: size (bilinear), mean, std."""

    def __init__(self, size: int, normalisation: tuple = IMAGENET):
        super().__init__()
        self.size = size
        (mean, std), (wanted_mean, wanted_std) = map(torch.tensor, CIFAR10), map(torch.tensor, normalisation)  # fmt: skip
        for name, values in {"scale": std / wanted_std, "shift": (mean - wanted_mean) / wanted_std}.items():  # fmt: skip
            self.register_buffer(name, values.view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        big = F.interpolate(images, size=self.size, mode="bilinear", align_corners=False)
        return big * self.scale + self.shift


class Frozen(nn.Module):
    """A body that is not trained, under a head that is: a linear probe.

    The body is no part of the state, so that checkpoints stay small. Its features, in float16, are
    computed once for each image that it is shown and remembered for `KEPT` images.
    """

    def __init__(self, body: nn.Module, enlarge: nn.Module, head: nn.Module):
        super().__init__()
        self.enlarge, self.head = enlarge, head
        self._body, self._known = [body.requires_grad_(False)], {}

    def features(self, images: Tensor) -> Tensor:
        """float32 [B, D], rounded to float16."""
        if images.is_meta:  # its cost is counted, nothing is computed
            return copy.deepcopy(self._body[0]).to("meta")(self.enlarge(images))
        kind = str(torch.is_autocast_enabled(images.device.type)).encode()
        pixels = images.detach().float().cpu().contiguous().numpy()
        keys = [hashlib.sha256(kind + image.tobytes()).digest() for image in pixels]
        found = dict.fromkeys(key for key in keys if key in self._known)
        found = {key: self._known[key] for key in found}
        if new := [k for k, key in enumerate(keys) if key not in found]:
            with torch.no_grad():
                each = self._body[0].to(images.device)(self.enlarge(images[new])).half().cpu()
            found |= {keys[k]: row for k, row in zip(new, each, strict=True)}
            if len(self._known) < KEPT:
                self._known |= found
        return torch.stack([found[key] for key in keys]).to(images.device).float()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))


class Scaled(nn.Module):
    """Cosines of features with fixed directions, times one factor that training sets.

    The factor says how sure the answers are. It changes no answer: a zero-shot classifier's first
    choice is what it was.
    """

    def __init__(self, directions: Tensor, log_scale: float):
        super().__init__()
        self.register_buffer("directions", F.normalize(directions, dim=1))  # [classes, D]
        self.log_scale = nn.Parameter(torch.tensor(log_scale))

    def forward(self, features: Tensor) -> Tensor:
        return self.log_scale.exp() * F.normalize(features, dim=1) @ self.directions.T


def _check(in_shape: Shape) -> None:
    if in_shape[0] != 3:
        raise ValueError(f"images are {list(in_shape)}; a pre-trained network takes 3 channels.")


def probe(name: str, *, in_shape: Shape, classes: int) -> Frozen:
    """A linear layer on the features of a network that ImageNet has trained."""
    _check(in_shape)
    net, n = body(name)
    # features differ in size from network to network: one learning rate will do for all of them
    head = nn.Sequential(nn.BatchNorm1d(n, affine=False), nn.Linear(n, classes))
    return Frozen(net, Enlarged(SOURCES[name].size), head)


def tuned(name: str, *, in_shape: Shape, classes: int) -> nn.Sequential:
    """The same with all layers trained further, from the ImageNet weights on."""
    _check(in_shape)
    net, n = body(name)
    net = copy.deepcopy(net).requires_grad_(True)
    return nn.Sequential(Enlarged(SOURCES[name].size), net, nn.Linear(n, classes))


class _Images(nn.Module):
    """The image side of CLIP."""

    def __init__(self, clip: nn.Module):
        super().__init__()
        self.clip = clip

    def forward(self, images: Tensor) -> Tensor:
        return self.clip.encode_image(images)


@lru_cache(maxsize=1)
def _clip(names: tuple[str, ...]) -> tuple[nn.Module, Tensor, float]:
    """CLIP ViT-B/32: its image side, a direction for each name, the logarithm of its scale."""
    if not find_spec("open_clip"):
        raise MissingWeights(
            "open_clip is not installed: pip install -e '.[clip]', in the folder of this course."
        )
    import open_clip

    own = folder() / "open_clip_model.safetensors"  # its name at huggingface.co
    logging.disable(logging.CRITICAL)  # each of its many attempts to download is reported
    try:
        with torch.random.fork_rng(devices=[]):
            clip = open_clip.create_model(
                "ViT-B-32-quickgelu", pretrained=str(own) if own.exists() else "openai"
            ).eval()
    except (
        OSError,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        SafetensorError,
    ) as failed:
        why = _first_line(failed)
        if own.exists():
            raise ValueError(f"{own} holds no weights of CLIP ViT-B/32 ({why}).") from failed
        raise MissingWeights(
            f"CLIP's weights could not be downloaded ({why}). Put {own.name}, of "
            f"timm/vit_base_patch32_clip_224.openai, into {folder()}, or set KDUTILS_WEIGHTS to the "
            "folder that holds it."
        ) from failed
    finally:
        logging.disable(logging.NOTSET)
    text = open_clip.get_tokenizer("ViT-B-32")([f"a photo of a {name}." for name in names])
    with torch.no_grad():
        directions = clip.encode_text(text).float()
    return _Images(clip), directions, float(clip.logit_scale.detach())


def clip_zero_shot(dataset: str, *, in_shape: Shape, classes: int) -> Frozen:
    """CLIP ViT-B/32 (Radford et al. 2021, arXiv:2103.00020): "a photo of a ..." for each class.

    Raises ValueError where the names of the classes are not known.
    """
    _check(in_shape)
    if classes != len(NAMES[dataset]):
        raise ValueError(
            f"clip-{dataset} knows {len(NAMES[dataset])} classes; {classes} are asked."
        )
    net, directions, scale = _clip(NAMES[dataset])
    return Frozen(net, Enlarged(224, OPENAI), Scaled(directions, scale))


for _name in SOURCES:
    FAMILIES[f"imagenet-{_name}"] = Family(partial(probe, _name), "", f"'imagenet-{_name}'")
    FAMILIES[f"tuned-{_name}"] = Family(partial(tuned, _name), "", f"'tuned-{_name}'")
FAMILIES["clip-cifar10"] = Family(partial(clip_zero_shot, "cifar10"), "", "'clip-cifar10'")
