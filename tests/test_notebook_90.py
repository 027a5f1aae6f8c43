"""The appendix: it has no arms, and its solution against networks that are counted."""

import pytest
import torch
from conftest import load_solutions
from torch import nn

from kdutils import models
from kdutils.commands import results
from kdutils.experiments import PROFILES, Lab


@pytest.mark.parametrize("profile", PROFILES)
def test_a_lab_works_without_arms(store, profile):
    lab = Lab("90", profile, store=store)
    assert lab.arms == {} and lab.runs.empty and lab.missing() == {}
    assert "0 runs" not in lab._repr_markdown_()
    assert results.rows("90", store) == []


@pytest.mark.parametrize(("named", "layers"), [(20, 20), (44, 65), (56, 83), (110, 164)])
def test_the_solution_gives_the_depth_of_the_posters_networks(named, layers):
    assert load_solutions("90_four_architectures").true_depth(named) == layers


def test_the_posters_preresnet_110_has_164_layers_and_the_published_parameters():
    with torch.device("meta"):
        net = models.build("preresnet-164")
    layers = [n for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert sum("shortcut" not in name for name in layers) == 164
    assert models.count_parameters(net) == 1_703_258
