"""Notebook 01: the slider, its solutions, and what its arms take for granted."""

import importlib.util
import json
import re

import pytest
import torch

from kdutils import course, losses
from kdutils.course import nb01
from kdutils.data import ROOT
from kdutils.knowledge import log_posterior
from kdutils.slider import temperature_slider


@pytest.fixture(scope="module")
def solutions():
    path = ROOT / "notebooks" / "solutions" / "01_soft_and_hard_targets.py"
    spec = importlib.util.spec_from_file_location("solutions_01", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_slider_shows_the_softmax_without_a_script():
    logits = [2.0, 0.5, -1.0]
    page = temperature_slider(logits, ["a", "b & c", "d"], "A title")
    shown = [float(q) for q in re.findall(r"text-align:right\">(\d\.\d{4})<", page)]
    assert shown == [round(q, 4) for q in torch.tensor(logits).softmax(0).tolist()]
    assert "b &amp; c" in page and 'aria-label="Soft targets at T = 1: a 0.786' in page
    assert "http" not in page  # nothing is fetched
    assert json.loads(re.search(r"z = (\[.*?\]);", page)[1]) == logits


@pytest.mark.parametrize("logits", [[1.0], [1.0, float("nan")], [1.0, 2.0, 3.0]])
def test_the_slider_refuses_what_it_cannot_show(logits):
    with pytest.raises(ValueError, match="one finite logit a class"):
        temperature_slider(logits, ["a", "b"], "A title")


def test_the_smoothing_control_is_as_soft_as_the_posterior():
    q = log_posterior("test").double().softmax(1)
    of_truth = float(-(q * q.clamp(min=1e-300).log()).sum(1).mean())
    smooth = losses.smoothed_targets(torch.tensor([0]), 10, nb01.SMOOTHING).double()
    of_labels = float(-(smooth * smooth.log()).sum())
    assert of_labels == pytest.approx(of_truth, rel=0.05)


def test_all_students_take_the_same_number_of_steps():
    steps = {
        -(-a.recipe.n_train // a.recipe.batch_size) * a.recipe.epochs
        for a in course.arms(1, "laptop")
        if not a.name.startswith("teacher")
    }
    assert len(steps) == 1


def test_solution_1_finds_one_nat(solutions):
    logits = log_posterior("test")[0].double()
    t = solutions.temperature_of_one_nat(logits)
    assert solutions.entropy((logits / t).softmax(0)) == pytest.approx(1, abs=1e-6)


def test_solution_2_formula_equals_autograd(solutions):
    formula, autograd = solutions.gradient_by_formula_and_autograd()
    assert torch.allclose(formula, autograd, atol=1e-14)


def test_solution_3_labels_and_a_permuted_teacher(solutions, tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_RUNS", str(tmp_path))
    hard, mixed = solutions.permuted_with_labels("smoke")
    assert mixed.recipe.alpha == 0.5 and mixed.recipe.teacher_order == "permuted"
    # half of every target is wrong, and still the right class has the largest share
    assert mixed.metrics["test_accuracy"] > 40
    assert mixed.metrics["test_nll"] > hard.metrics["test_nll"]


def test_solution_4_has_the_entropy_of_the_picture(solutions):
    smoothing, picture = solutions.smoothing_of_equal_entropy(0.8)
    q = log_posterior("test")[picture].double().softmax(0)
    smooth = losses.smoothed_targets(torch.tensor([0]), 10, smoothing).double()[0]
    assert solutions.entropy(smooth) == pytest.approx(solutions.entropy(q), abs=1e-6)
    assert q.topk(2).values.sum() > 0.99 > smooth.topk(2).values.sum()
