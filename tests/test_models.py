"""Architectures against published parameter counts and amounts of arithmetic."""

import re
import subprocess
import sys

import pytest
import torch
from experiments import networks

from kdutils import models

SMALL = [  # a small member of every family
    "mlp-8-8",
    "cnn5-w4",
    "resnet18-w4",
    "resnet8-w4",
    "fastnet-w8",
    "wrn-10-1",
    "preresnet-11",
    "densenet-10-4",
    "resnext-11-2x4-w8",
    "seed003-teacher-w4",
    "seed003-student-w4",
    "seed003-plain-w4",
    "aux-cnn5-w4-20",
    "vit-4-32-1",
    "resnet50-w4",
    "convs-2x4-32",
]
LOADED = "imagenet-", "tuned-", "clip-"  # families whose weights are files: test_pretrained


def on_meta(name, in_shape=(3, 32, 32), dropout=(0.0, 0.0), classes=10):
    """The network without its numbers: huge ones cost nothing."""
    with torch.device("meta"):
        return models.build(name, in_shape, classes, dropout)


@pytest.mark.parametrize(
    ("name", "in_shape", "dropout", "published"),
    [
        ("mlp-1200-1200", (1, 28, 28), (0.0, 0.8), 2_395_210),
        ("mlp-800-800", (1, 28, 28), (0.0, 0.0), 1_276_810),
        ("cnn5", (3, 32, 32), (0.0, 0.5), 357_514),
        ("resnet18", (3, 32, 32), (0.0, 0.0), 11_173_962),
        ("resnet50", (3, 32, 32), (0.0, 0.0), 23_520_842),  # kuangliu/pytorch-cifar
        ("resnet20", (3, 32, 32), (0.0, 0.0), 272_474),
        ("fastnet", (3, 32, 32), (0.0, 0.0), 1_972_504),
        ("wrn-28-10", (3, 32, 32), (0.0, 0.3), 36_479_194),
        ("preresnet-164", (3, 32, 32), (0.0, 0.0), 1_703_258),  # "PreResNet-110" in seed 002
        ("densenet-100-12", (3, 32, 32), (0.0, 0.0), 769_162),
        ("resnext-29-8x64", (3, 32, 32), (0.0, 0.0), 34_426_698),
    ],
)
def test_parameter_counts_are_the_published_ones(name, in_shape, dropout, published):
    net = on_meta(name, in_shape, dropout)
    assert models.count_parameters(net) == published
    with torch.no_grad():
        assert net.eval()(torch.empty(2, *in_shape, device="meta")).shape == (2, 10)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("cnn5", 10.6),
        ("wrn-28-10", 5243),
        ("preresnet-164", 248),
        ("densenet-100-12", 288),
        ("resnext-29-8x64", 5387),
    ],
)
def test_the_arithmetic_is_the_published_amount(name, millions):
    assert networks.count_macs(on_meta(name)) == pytest.approx(millions * 1e6, rel=0.01)


def test_the_largest_maps_are_known_by_hand():
    net = models.build("seed003-student")  # its first convolution: 3 channels to 16, 32 x 32
    assert networks.largest_maps(net) == 4 * (3 + 16) * 32 * 32
    assert networks.largest_maps(models.build("mlp-8", (1, 4, 4), 3), (1, 4, 4)) == 0
    assert net.training and not any(m._forward_hooks for m in net.modules())


def test_macs_are_exact_and_counting_them_leaves_the_network_alone():
    net = models.build("mlp-8", (1, 4, 4), 3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert networks.count_macs(net, (1, 4, 4)) == 16 * 8 + 8 * 3
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_every_family_has_a_small_member_here():
    inside = "hint", "attention", "critic", "counted"  # chapter 12's: test_notebook_12
    made = {k: f for k, f in models.FAMILIES.items() if not k.startswith((*LOADED, *inside))}
    assert {id(models.check(name)[0]) for name in SMALL} == set(map(id, made.values()))


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("name", SMALL)
def test_gradient_reaches_every_trained_parameter(name, classes):
    torch.manual_seed(0)
    net = models.build(name, classes=classes)
    logits = net(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, classes + (20 if name.startswith("aux") else 0))
    torch.nn.functional.cross_entropy(logits, torch.tensor([1, 2])).backward()
    trained = {key: p for key, p in net.named_parameters() if p.requires_grad}
    assert [key for key, p in trained.items() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("name", SMALL)
def test_grey_images_of_28_x_28_will_do(name):
    with torch.no_grad():
        net = on_meta(name, (1, 28, 28)).eval()
        assert net(torch.empty(2, 1, 28, 28, device="meta")).shape == (2, 10)


def test_resnet18_for_cifar100_differs_in_its_last_layer_alone():
    ten, hundred = (models.count_parameters(on_meta("resnet18", classes=n)) for n in (10, 100))
    assert hundred - ten == 90 * 512 + 90


# Of a network drawn at seed 3, the sum of all its numbers, and of its answers to 20 images; as the
# first edition of these networks gave them, whose numbers the committed records rest on.
STARTS = {
    "mlp-8-8": (-0.550048, 32.090273),
    "cnn5-w4": (83.786249, 22.631045),
    "resnet18-w4": (589.543827, 20.693516),
    "resnet8-w4": (169.455651, 38.694959),
    "fastnet-w8": (400.670114, 15.243399),
    "wrn-10-1": (465.469453, 34.679093),
    "preresnet-11": (1338.704583, 13.956063),
    "densenet-10-4": (217.731536, 26.761354),
    "resnext-11-2x4-w8": (1159.832929, 15.913447),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_network_starts_from_the_numbers_that_the_records_started_from(name):
    torch.manual_seed(3)
    assert sums(models.build(name)) == pytest.approx(STARTS[name], rel=1e-5)


def sums(net):
    first = float(sum(value.double().sum() for value in net.state_dict().values()))
    x = torch.rand(20, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    if hasattr(net, "prepare"):
        net.prepare(x)
    with torch.no_grad():
        return first, float(net.eval()(x).double().abs().sum())


@pytest.mark.parametrize(
    ("name", "published", "start"),
    [
        ("seed003-teacher", 4_664_970, (3703.618836, 5.298571)),
        ("seed003-student", 106_826, (470.086573, 14.541181)),
        ("seed003-plain", 106_826, (470.086573, 14.541181)),
    ],
)
def test_the_networks_of_seed_003_are_the_published_ones(name, published, start):
    torch.manual_seed(3)
    net = models.build(name)
    assert models.count_parameters(net) == published
    assert sums(net) == pytest.approx(start, rel=1e-5)
    assert net.train()(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_resnet18_starts_from_the_numbers_that_the_records_started_from():
    torch.manual_seed(0)
    state = models.build("resnet18-w4").state_dict()
    assert list(state)[:2] + list(state)[-2:] == [
        "stem.0.weight",
        "stem.1.weight",
        "fc.weight",
        "fc.bias",
    ]
    assert {key.split(".")[1] for key in state if key.startswith("stages.")} == set("01234567")
    last_drawn = state["fc.bias"][-1].item()  # it moves with any draw before it
    assert last_drawn == pytest.approx(0.114464, abs=1e-5)


@pytest.mark.parametrize(
    "name",
    ["resnet14", "resnet18-w4", "preresnet-20", "densenet-16-4", "resnext-20-2x4"],
)
def test_depth_counts_the_layers_beside_the_shortcuts(name):
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    modules = on_meta(name).named_modules()
    layers = sum(isinstance(module, kinds) and "shortcut" not in key for key, module in modules)
    assert layers == int(re.search(r"\d+", name)[0])


@pytest.mark.parametrize("name", ["wrn-10-1", "cnn5-w4"])
def test_hidden_dropout_changes_the_answers_in_training_alone(name):
    net = models.build(name, dropout=(0.0, 0.5))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(net(images), net(images))
        net.eval()
        assert torch.equal(net(images), net(images))


@pytest.mark.parametrize(
    "name",
    [
        *("mlp", "mlp-0", "cnn5-w0", "", None, "mlp-800-", "resnet18-16", "resnet"),
        *("wrn-28", "wrn-28-0", "densenet-100-12-w8", "densenet-100", "preresnet", "resnext-29-8"),
        *("resnext-29-8x64-w0", "WRN-28-10"),
    ],
)
def test_an_unknown_network_is_refused_with_those_that_exist(name):
    with pytest.raises(
        ValueError, match=r"The course has \['mlp-800-800'.*'wrn-28-10'.*models.register"
    ):
        models.build(name)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("resnet19", r"one of 8, 14, 20, 26"),
        ("resnet62", r"one of 8, 14, 20, 26, 32, 44, 56, 110\."),
        ("wrn-27-10", r"one of 10, 16, 22, .* to 1000"),
        ("wrn-4-1", r"one of 10, 16, 22, .* to 1000"),
        ("preresnet-100", r"one of 11, 20, 29, .* to 1001"),
        ("densenet-99-12", r"one of 10, 16, 22"),
        ("resnext-30-8x64", r"one of 11, 20, 29"),
    ],
)
def test_a_depth_that_does_not_fit_is_refused_with_those_that_do(name, allowed):
    with pytest.raises(ValueError, match=f"depth .* must be {allowed}"):
        models.check(name)


@pytest.mark.parametrize("dropout", [(0.5, 1.0), (-0.1, 0.0), (0.5,)])
def test_dropout_must_be_two_shares(dropout):
    with pytest.raises(ValueError, match="dropout"):
        models.build("mlp-8", (1, 8, 8), 10, dropout)


@pytest.mark.parametrize("name", SMALL)
def test_dropout_that_a_family_lacks_is_refused(name):
    has = {"mlp-8-8": (True, True), "cnn5-w4": (False, True), "wrn-10-1": (False, True)}
    for share, there in zip([(0.5, 0.0), (0.0, 0.5)], has.get(name, (False, False)), strict=True):
        if there:
            models.check(name, share)
        else:
            with pytest.raises(ValueError, match="no dropout"):
                models.check(name, share)


def test_no_network_of_the_course_crashes_when_it_trains_on_two_threads():
    """In a process of its own: a crash of PyTorch would take the test run with it."""
    code = """
import torch
import torch.nn.functional as F
from kdutils import experiments, models
torch.set_num_threads(2)
names = {arm.recipe.model for n in experiments.chapters() for p in ("smoke", "laptop")
         for arm in experiments.arms(n, p) if arm.recipe.dataset in ("cifar10", "bayes10")}
for name in sorted(name for name in names | {"resnet18-w8"} if not name.startswith("mlp")):
    for low in (True, False):
        net, x = models.build(name), torch.randn(25, 3, 32, 32)
        if hasattr(net, "meet"):
            net.meet(models.build("wrn-10-2" if name.endswith("128") else "wrn-10-1-w2").eval())
        if net.channels_last:
            net.to(memory_format=torch.channels_last)
            x = x.contiguous(memory_format=torch.channels_last)
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                z = net(x)
            F.cross_entropy(z.float(), torch.randint(10, (25,))).backward()
    print(name, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"crashed after {done.stdout.split()}: {done.stderr[-300:]}"
    assert "resnet8" in done.stdout.split()
    assert models.build("resnet18").channels_last and not models.build("resnet18-w8").channels_last


class Own(torch.nn.Module):
    def __init__(self, in_shape, classes):
        super().__init__()
        self.fc = torch.nn.Linear(in_shape[0] * in_shape[1] * in_shape[2], classes)

    def forward(self, images):
        return self.fc(images.flatten(1))


def test_a_readers_network_is_called_with_what_it_names(clean_registries):
    models.register("own", Own)
    models.register("none", lambda: torch.nn.Flatten())
    models.register("drops", lambda dropout, channels=3: torch.nn.Dropout(dropout[1]))
    net = models.build("own", (1, 8, 8), 3)
    assert net.fc.weight.shape == (3, 64) and net.channels_last is False
    assert isinstance(models.build("none"), torch.nn.Flatten)
    assert models.build("drops", dropout=(0.0, 0.3)).p == 0.3
    with pytest.raises(ValueError, match="own has no dropout"):
        models.check("own", (0.0, 0.5))
    torch.manual_seed(1)
    first = models.build("own").fc.weight
    torch.manual_seed(1)
    assert torch.equal(first, Own((3, 32, 32), 10).fc.weight)


def test_a_thing_that_makes_no_network_is_refused(clean_registries):
    models.register("wrong", lambda: 3)
    with pytest.raises(ValueError, match="model = 'wrong' makes .*int.*torch.nn.Module"):
        models.build("wrong")


class Asks(torch.nn.Linear):
    """Needs what no recipe can give it."""

    def __init__(self, classes, width):
        super().__init__(width, classes)


@pytest.mark.parametrize(("make", "needs"), [(Asks, "width"), (lambda x, /: x, "x")])
def test_a_network_that_needs_other_arguments_is_refused_with_what_there_is(
    make, needs, clean_registries
):
    message = rf"model = 'asks': .*argument: '{needs}'.*in_shape, classes and dropout"
    with pytest.raises(ValueError, match=message):
        models.register("asks", make)
    with pytest.raises(ValueError, match="'asks' is not registered"):
        models.build("asks")
