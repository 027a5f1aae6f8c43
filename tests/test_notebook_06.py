"""Notebook 06: its solutions, its sweep, and that its saved outputs say what the records say."""

import json

import nbformat
import pytest
import torch
from conftest import load_solutions

from kdutils import course, profiles, tables
from kdutils.course import nb06
from kdutils.data import ROOT
from kdutils.losses import kd_loss

NOTEBOOK = ROOT / "notebooks" / "06_temperature.ipynb"


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


def test_solution_3_more_settings_range_wider_and_more_seeds_less(solutions):
    few, many = solutions.range_by_chance(1.0, 5, 3), solutions.range_by_chance(1.0, 35, 3)
    assert many > few > solutions.range_by_chance(1.0, 5, 12)
    # the mean range of two standard normal numbers is 2 / sqrt(pi)
    assert solutions.range_by_chance(1.0, 2, 1) == pytest.approx(1.128, abs=0.03)


def test_solution_4_fewer_bits_change_more_answers(solutions, logits):
    changed = [solutions.changed_answers(logits[0], bits) for bits in (16, 8, 6, 4, 3)]
    assert changed == sorted(changed) and changed[0] < 0.001 < changed[-1]


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_the_sweep_is_a_full_grid_of_one_budget(profile):
    arms = course.arms(6, profile)
    cells = {(a.recipe.temperature, a.recipe.alpha) for a in arms if a.select}
    assert len(cells) == len({t for t, _ in cells}) * len({a for _, a in cells})
    assert {(a.recipe.epochs, a.recipe.n_train, a.recipe.lr) for a in arms}.__len__() == 1
    if profile != "smoke":
        assert {t for t, _ in cells} == set(nb06.TEMPERATURES)
        assert {t for t, _ in nb06.POSTER.values()} <= {t for t, _ in cells}


def test_the_saved_notebook_shows_what_the_records_say():
    """What validation chose stands in the committed outputs, with its recorded means."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    outputs = json.dumps([c.get("outputs", []) for c in notebook.cells if c.cell_type == "code"])
    found = tables.collect(6, "laptop", tables=["Temperature and alpha"])
    best = tables.selections(found)["T and alpha"]
    for metric in ("val_accuracy", "test_accuracy"):
        shown = tables.interval(best.mean_ci(metric)[0], None, 2)
        assert shown in outputs, f"{best.name}: {shown} is not in the saved notebook"
