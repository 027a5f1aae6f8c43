"""Architectures against published parameter counts and amounts of arithmetic."""

import re
import subprocess
import sys

import pytest
import torch

from kdutils import models

SMALL = [  # a small member of every family
    "mlp-8-8",
    "cnn5-w4",
    "resnet18-w4",
    "resnet34-w4",
    "resnet8-w4",
    "fastnet-w8",
    "wrn-10-1",
    "preresnet-11",
    "densenet-10-4",
    "resnext-11-2x4-w8",
    "seed003-teacher",
    "seed003-student",
]


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
        ("resnet34", (3, 32, 32), (0.0, 0.0), 21_282_122),
        ("resnet20", (3, 32, 32), (0.0, 0.0), 272_474),
        ("fastnet", (3, 32, 32), (0.0, 0.0), 1_972_504),
        ("wrn-28-10", (3, 32, 32), (0.0, 0.3), 36_479_194),
        ("preresnet-164", (3, 32, 32), (0.0, 0.0), 1_703_258),  # "PreResNet-110" in seed 002
        ("densenet-100-12", (3, 32, 32), (0.0, 0.0), 769_162),
        ("resnext-29-8x64", (3, 32, 32), (0.0, 0.0), 34_426_698),
        ("seed003-teacher", (3, 32, 32), (0.0, 0.0), 4_664_970),
        ("seed003-student", (3, 32, 32), (0.0, 0.0), 106_826),
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
    assert models.count_macs(on_meta(name)) == pytest.approx(millions * 1e6, rel=0.01)


def test_macs_are_exact_and_counting_them_leaves_the_network_alone():
    net = models.build("mlp-8", (1, 4, 4), 3)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    assert models.count_macs(net, (1, 4, 4)) == 16 * 8 + 8 * 3
    assert net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_every_family_has_a_small_member_here():
    assert {models.check(name)[0] for name in SMALL} == set(models.FAMILIES)


@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize("name", SMALL)
def test_gradient_reaches_every_trained_parameter(name, classes):
    torch.manual_seed(0)
    net = models.build(name, classes=classes)
    logits = net(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, classes)
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
    ["resnet14", "resnet18-w4", "resnet34-w4", "preresnet-20", "densenet-16-4", "resnext-20-2x4"],
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
        *("mlp", "mlp-0", "resnet19", "cnn5-w0", "", None, "mlp-800-", "resnet18-16", "resnet"),
        *("wrn-28", "wrn-28-0", "densenet-100-12-w8", "densenet-100", "preresnet", "resnext-29-8"),
        *("resnext-29-8x64-w0", "seed003", "seed003-student-w8", "WRN-28-10"),
    ],
)
def test_an_unknown_network_is_refused_with_those_that_exist(name):
    with pytest.raises(ValueError, match="There are: 'mlp-800-800'.*'wrn-28-10'"):
        models.build(name)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("resnet50", r"one of 8, 14, 20, 26, 32, 44, 56, 110"),
        ("wrn-27-10", r"6 n \+ 4 \(10, 16, 22"),
        ("wrn-4-1", r"6 n \+ 4 \(10, 16, 22"),
        ("preresnet-100", r"9 n \+ 2 \(11, 20, 29"),
        ("densenet-99-12", r"6 n \+ 4"),
        ("resnext-30-8x64", r"9 n \+ 2"),
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
    has = {"mlp": (True, True), "cnn5": (False, True), "wrn": (False, True)}
    for share, there in zip(
        [(0.5, 0.0), (0.0, 0.5)], has.get(models.check(name)[0], (False, False)), strict=True
    ):
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
from kdutils import course, models, profiles
torch.set_num_threads(2)
names = {arm.recipe.model for n in (2, 4, 5) for p in ("smoke", "laptop")
         for arm in course.arms(n, p) if not arm.recipe.model.startswith("mlp")}
for name in sorted(names | {"resnet18-w8"}):
    for low in (True, False):
        net, x = models.build(name), torch.randn(25, 3, 32, 32)
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
