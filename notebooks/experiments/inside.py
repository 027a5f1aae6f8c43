"""Students of chapter 12, which learn from what happens inside their teacher, and their losses.

In: a student of three stages, and how many channels leave the last stage of its teacher, which has
three, too. Out: networks and losses that recipes may name. In training mode such a student has more
outputs than classes. Those behind the logits are what its loss needs, for each image.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from kdutils import losses
from kdutils.losses import kd_loss
from kdutils.models import FAMILIES, Family
from kdutils.models.networks import Chain, Shape, resnet
from kdutils.recipes import Recipe


def maps(net: Chain, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """What leaves each of three stages, [B, C, H, W] each, and the logits [B, classes]."""
    x, found, each = net.stem(images), [], len(net.stages) // 3
    for k, block in enumerate(net.stages, 1):
        x = block(x)
        if k % each == 0:
            found.append(x)
    for name, part in net.named_children():
        if name not in ("stem", "stages"):
            x = part(x)
    return found, x


def unexplained(guess: Tensor, theirs: Tensor) -> Tensor:
    """The share of a map's variance over the batch that a guess misses: [B], from [B, C, H, W].

    1 is what the mean of each channel would miss. It has no unit, so that one weight fits all maps.
    Source of the squared distance: Romero et al. 2015 (arXiv:1412.6550), equation 3.
    """
    scale = theirs.float().var(dim=(0, 2, 3), unbiased=False).mean().clamp(min=1e-6)
    return (guess.float() - theirs.float()).square().mean(dim=(1, 2, 3)) / scale


def attention_map(features: Tensor) -> Tensor:
    """Where a map is active: the mean square over channels, of length 1: [B, H W].

    Source: Zagoruyko and Komodakis 2017 (arXiv:1612.03928), section 3.1 (p = 2).
    """
    return F.normalize(features.float().square().mean(dim=1).flatten(1), dim=1)


SOFTENED = 4.0  # the temperature of the answers that a critic sees


def play(critic: nn.Module, ours: Tensor, theirs: Tensor, answers: Tensor) -> list[Tensor]:
    """A critic's outputs [B, 1]: for our features to learn from, for theirs, and for ours to fool.

    Features [B, C] stand beside the teacher's answers [B, classes] about the same images, so that
    they have to fit to these (Mirza and Osindero 2014, arXiv:1411.1784). "To learn" moves the
    critic alone, "to fool" the student alone.
    """

    def beside(features: Tensor) -> Tensor:
        return torch.cat([F.layer_norm(features, features.shape[1:]), answers], dim=1)

    fixed = {name: value.detach() for name, value in critic.named_parameters()}
    to_learn, of_theirs = critic(beside(ours.detach())), critic(beside(theirs))
    return [to_learn, of_theirs, functional_call(critic, fixed, beside(ours))]


class Insider(nn.Module):
    """A student that looks inside its teacher while it trains; `wants` says at what.

    In training mode [B, classes + k + 1]: logits, k numbers an image, and how many steps were made.
    In evaluation mode its logits alone. channels: of ours and theirs, for each stage looked at.
    others: see what the teacher makes of the next image in the batch, not of the same one.
    """

    channels_last = True

    def __init__(
        self, net: Chain, wants: str, channels: dict[int, tuple[int, int]], others: bool = False
    ):
        super().__init__()
        self.net, self.stages, self.others = net, tuple(channels), others
        self.look = getattr(self, f"_{wants}")
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        if wants in ("hint", "critic"):  # a linear map from our channels to theirs, at each place
            self.adapt = nn.ModuleList(nn.Conv2d(*pair, 1) for pair in channels.values())
        if wants == "critic":
            n = channels[self.stages[-1]][1] + net.fc.out_features
            self.critic = nn.Sequential(nn.Linear(n, 64), nn.ReLU(), nn.Linear(64, 1))

    def meet(self, teacher: nn.Module) -> None:
        """Take a teacher to look at, which is neither trained nor saved with this network."""
        self.__dict__["teacher"] = teacher.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return self.net(images)
        self.steps += 1
        ours, logits = maps(self.net, images)
        with torch.no_grad():
            theirs, answers = maps(self.teacher, images.roll(1, dims=0) if self.others else images)
        pairs = [(ours[stage], theirs[stage]) for stage in self.stages]
        extra = [*self.look(pairs, answers), self.steps.float().expand(len(images))]
        return torch.cat([logits.float(), torch.stack(extra, dim=1)], dim=1)

    def _hint(self, pairs: list[tuple[Tensor, Tensor]], _: Tensor) -> list[Tensor]:
        each = [unexplained(f(x), y) for f, (x, y) in zip(self.adapt, pairs, strict=True)]
        return [torch.stack(each).mean(dim=0)]

    def _attention(self, pairs: list[tuple[Tensor, Tensor]], _: Tensor) -> list[Tensor]:
        each = [(attention_map(x) - attention_map(y)).square().mean(dim=1) for x, y in pairs]
        return [torch.stack(each).sum(dim=0)]

    def _critic(self, pairs: list[tuple[Tensor, Tensor]], answers: Tensor) -> list[Tensor]:
        ((x, y),) = pairs
        ours, theirs = self.adapt[0](x).mean(dim=(2, 3)), y.mean(dim=(2, 3))
        soft = (answers.float() / SOFTENED).softmax(dim=1)
        return [d[:, 0].float() for d in play(self.critic, ours, theirs, soft)]


def _student(
    wants: str,
    stages: tuple[int, ...],
    others: bool,
    *numbers: int,
    in_shape: Shape,
    classes: int,
) -> Insider:
    """numbers: the student's depth, perhaps its width, and the channels of the teacher's last map."""
    *own, theirs = numbers
    net = resnet(*own, in_shape=in_shape, classes=classes)
    last = net.fc.in_features
    halved = {stage: 2 ** (2 - stage) for stage in stages}
    return Insider(net, wants, {s: (last // n, theirs // n) for s, n in halved.items()}, others)


MIDDLE, LAST, ALL = (1,), (2,), (0, 1, 2)
KINDS: dict[str, tuple[str, tuple[int, ...], bool]] = {
    "hint-middle": ("hint", MIDDLE, False),
    "hint-last": ("hint", LAST, False),
    "hint-all": ("hint", ALL, False),
    "hint-others": ("hint", LAST, True),
    "attention": ("attention", ALL, False),
    "critic": ("critic", LAST, False),
}
DEPTHS = FAMILIES["resnet"].depths
for _kind, _how in KINDS.items():
    _make, _like = partial(_student, *_how), f"'{_kind}-resnet8-128'"
    FAMILIES[f"{_kind}-resnet"] = Family(_make, "N(-wN)?-N", _like, DEPTHS)


class Counted(nn.Module):
    """A network that tells its loss, in training mode, how many steps were made: one more output."""

    channels_last = True

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, images: Tensor) -> Tensor:
        logits = self.net(images)
        if not self.training:
            return logits
        self.steps += 1
        return torch.cat([logits.float(), self.steps.float().expand(len(images), 1)], dim=1)


def _make_counted(*numbers: int, in_shape: Shape, classes: int) -> Counted:
    return Counted(resnet(*numbers, in_shape=in_shape, classes=classes))


FAMILIES["counted-resnet"] = Family(_make_counted, "N(-wN)?", "'counted-resnet8'", DEPTHS)


def done(steps: Tensor, recipe: Recipe) -> float:
    """The share of the training that is behind us, from 0 to 1; steps: any tensor of the count."""
    return float(
        (steps.detach().flatten()[0] - 1) * recipe.batch_size / (recipe.n_train * recipe.epochs)
    )


def _answers(z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    return kd_loss(z, t, y, recipe.temperature, recipe.alpha)


def distances(z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """Labels and answers as ever, plus `soft_scale` times the distance inside."""
    classes = t.shape[1]
    return _answers(z[:, :classes], t, y, recipe) + recipe.soft_scale * z[:, classes].mean()


def opponent(z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """Labels and answers, plus `soft_scale` times what it takes to fool a critic.

    The critic learns to tell the teacher's features (1) from the student's (0), the student to have
    them taken for the teacher's. Source: Goodfellow et al. 2014 (arXiv:1406.2661), with the
    student's loss that does not saturate; for distillation Xu et al. 2018 (arXiv:1709.00513), whose
    critic sees logits.
    """
    classes = t.shape[1]
    ours, theirs, fooled = z[:, classes : classes + 3].unbind(1)
    told = F.softplus(ours).mean() + F.softplus(-theirs).mean()  # cross-entropy of 0 and of 1
    pull = recipe.soft_scale * F.softplus(-fooled).mean()  # of 1, for ours
    return _answers(z[:, :classes], t, y, recipe) + told + pull


HINTED = 1 / 3  # of the training


def hint_first(z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """Only the distance inside for the first third, then only labels and answers (FitNets)."""
    classes = t.shape[1]
    if done(z[:, -1], recipe) < HINTED:
        return recipe.soft_scale * z[:, classes].mean()
    return _answers(z[:, :classes], t, y, recipe)


EASY, FULL = 0.3, 0.5  # the share of a batch at first; when the whole batch counts


def easy_first(z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """A curriculum: of each batch first the images that the teacher finds easy, then all.

    Easy: a high probability of the label. From 30 % the share grows linearly, to all of the batch
    after half of the training. Source: Bengio et al. 2009, with the teacher as the judge
    (Hacohen and Weinshall 2019, arXiv:1904.03626).
    """
    sure = t.log_softmax(dim=1).gather(1, y[:, None])[:, 0]
    return _part(sure.topk(_counted_now(z, recipe)).indices, z, t, y, recipe)


def some_first(z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    """Its control: as many images, whichever stand first in the batch, which has a random order."""
    return _part(torch.arange(_counted_now(z, recipe), device=z.device), z, t, y, recipe)


def _counted_now(z: Tensor, recipe: Recipe) -> int:
    share = min(1.0, EASY + (1 - EASY) * done(z[:, -1], recipe) / FULL)
    return max(1, round(share * len(z)))


def _part(kept: Tensor, z: Tensor, t: Tensor, y: Tensor, recipe: Recipe) -> Tensor:
    return _answers(z[kept, : t.shape[1]], t[kept], y[kept], recipe)


LOSSES: dict[str, Callable] = {
    "distances": distances,
    "opponent": opponent,
    "hint-first": hint_first,
}
for _loss in LOSSES.values():
    _loss.looks_inside = True
losses.OWN |= LOSSES | {"easy-first": easy_first, "some-first": some_first}
