"""Chapter 06: its solutions, and that its sweep is what the page says."""

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import load_solutions

from kdutils import experiments
from kdutils.losses import kd_loss

ex = experiments.chapter("06")


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("06_temperature")


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(2, 500, 10, generator=generator, dtype=torch.float64)


def test_solution_1_the_error_falls_as_one_over_t(solutions, logits):
    at = {t: solutions.limit_error(*logits, t) for t in (20.0, 200.0, 2000.0)}
    assert at[20.0] / at[200.0] == pytest.approx(10, rel=0.2)
    assert at[200.0] / at[2000.0] == pytest.approx(10, rel=0.02)
    same = [torch.cat([x, logits[0][:1]]) for x in logits]  # two views of an image that are one
    assert solutions.limit_error(*same, 20.0) == pytest.approx(at[20.0], rel=0.01)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_solution_2_balances_pytorchs_own_gradients(solutions, logits, temperature):
    labels = torch.arange(500) % 10
    alpha = solutions.balanced_alpha(logits[1], labels, temperature)
    z = torch.zeros(500, 10, dtype=torch.float64, requires_grad=True)
    soft = torch.autograd.grad(kd_loss(z, logits[1], None, temperature, 1.0), z)[0]
    hard = torch.autograd.grad(torch.nn.functional.cross_entropy(z, labels), z)[0]
    a, b = (x.norm(dim=1).mean() for x in (soft, hard))
    assert alpha * float(a) == pytest.approx((1 - alpha) * float(b), rel=1e-6)


def test_solution_3_visits_every_cell_and_averages_over_seeds(solutions):
    def train(x, y, width, answers, temperature, alpha, seed):
        return 100 * temperature + alpha + seed

    grid = solutions.both_knobs(train, float, None, None, None, (1, 4), (0, 0.5), seeds=(0, 2))
    assert grid.loc[0.5, 4] == 401.5 and grid.loc[0, 1] == 101
    assert grid.shape == (2, 2)


def test_solution_4_fewer_bits_change_more_answers(solutions, logits):
    changed = [solutions.changed_answers(logits[0], bits) for bits in (16, 8, 6, 4, 3)]
    assert changed == sorted(changed) and changed[0] < 0.001 < changed[-1]


def grid(values):
    cells = pd.MultiIndex.from_product([(0.5, 0.9, 1.0), (1.0, 4.0)], names=["alpha", "T"])
    return pd.DataFrame(values, index=cells)


def test_an_additive_grid_has_no_interaction_and_a_single_cell_has_all_of_it():
    dice = np.random.default_rng(0)
    rows, columns = np.array([3.0, 1.0, 0.0]), np.array([0.0, 5.0])
    additive = np.add.outer(rows, columns).reshape(6, 1) + dice.normal(0, 9, 4)  # seeds shift all
    assert ex.interaction(grid(additive + 1e-9 * dice.normal(size=(6, 4))))[0] < 1e-6
    additive[0] += 6  # of one cell 6 points: (1 - 1/3) (1 - 1/2) of them are interaction
    largest, p = ex.interaction(grid(additive + 1e-6 * dice.normal(size=(6, 4))))
    assert largest == pytest.approx(2, abs=1e-4) and p < 1e-9


def test_noise_alone_is_called_an_interaction_once_in_twenty():
    dice = np.random.default_rng(1)
    p = [
        ex.interaction(grid(dice.normal(size=(6, 3)) + dice.normal(0, 3, 3)))[1]
        for _ in range(1500)
    ]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(p) == pytest.approx(0.5, abs=0.03)
    with pytest.raises(ValueError, match="needs 6 rows"):
        ex.interaction(grid(dice.normal(size=(6, 3))).iloc[:5])


def test_what_a_range_says_plainly():
    assert ex.plainly(2.0, 0.8) == "These runs tell the best from the worst."
    assert "no two of them differ by more than 1.14 points" in ex.plainly(0.34, 0.80)
    assert ex.plainly(0.2, 0.4).startswith("**The temperature hardly matters here**: no two")
    assert ex.plainly(float("nan"), float("nan")) == "One setting has no range."


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_every_setting_differs_in_temperature_and_alpha_alone(profile):
    arms = [a for a in experiments.arms("06", profile) if a.select]
    cells = {(a.recipe.temperature, a.recipe.alpha) for a in arms}
    assert len(cells) == len(arms) > 1
    for a in arms:
        first, other = arms[0].recipe.as_dict(), a.recipe.as_dict()
        differ = {k for k in first.keys() | other.keys() if first.get(k) != other.get(k)}
        assert differ <= {"temperature", "alpha"}
    if profile != "smoke":
        # a cell for every temperature that the project chose, so that the page can speak about it
        assert {t for t, _ in ex.POSTER.values()} <= {t for t, _ in cells}
