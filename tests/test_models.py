"""Architectures against published parameter counts."""

import pytest
import torch

from kdutils import models


@pytest.mark.parametrize(
    ("name", "in_shape", "dropout", "published"),
    [
        ("mlp-1200-1200", (1, 28, 28), (0.0, 0.8), 2_395_210),
        ("mlp-800-800", (1, 28, 28), (0.0, 0.0), 1_276_810),
        ("cnn5", (3, 32, 32), (0.0, 0.5), 357_514),
        ("resnet18", (3, 32, 32), (0.0, 0.0), 11_173_962),
    ],
)
def test_parameter_counts_are_the_published_ones(name, in_shape, dropout, published):
    net = models.build(name, in_shape, 10, dropout)
    assert models.count_parameters(net) == published
    with torch.no_grad():
        assert net.eval()(torch.randn(2, *in_shape)).shape == (2, 10)


def test_resnet18_for_cifar100_differs_in_its_last_layer_alone():
    ten, hundred = (models.build("resnet18", classes=n) for n in (10, 100))
    extra = models.count_parameters(hundred) - models.count_parameters(ten)
    assert extra == 90 * 512 + 90


@pytest.mark.parametrize("name", ["mlp", "mlp-0", "resnet19", "cnn5-w0", "", None, "mlp-800-"])
def test_an_unknown_network_is_refused_with_those_that_exist(name):
    with pytest.raises(ValueError, match="There are: 'mlp-800-800'"):
        models.build(name)


@pytest.mark.parametrize("dropout", [(0.5, 1.0), (-0.1, 0.0), (0.5,)])
def test_dropout_must_be_two_shares(dropout):
    with pytest.raises(ValueError, match="dropout"):
        models.build("mlp-8", (1, 8, 8), 10, dropout)


def test_dropout_that_a_family_lacks_is_refused():
    with pytest.raises(ValueError, match="no dropout"):
        models.build("resnet18-w8", dropout=(0.0, 0.5))
