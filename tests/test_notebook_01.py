"""Chapter 01: its recipes, its controls, what its text claims, and its solutions."""

import math

import pytest
import torch
from conftest import load_solutions

from kdutils import data, experiments, losses
from kdutils.knowledge import log_posterior
from kdutils.training import transfer_set

SMOOTHING = experiments.chapter("01").SMOOTHING


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("01_soft_and_hard_targets")


def entropy_by_hand(p):
    return -sum(x * math.log(x) for x in p if x > 0)


def test_the_smoothing_control_is_as_soft_as_the_posterior():
    q = log_posterior(data.load("bayes10"), "test").double().softmax(1)
    of_truth = float(-(q * q.clamp(min=1e-300).log()).sum(1).mean())
    smooth = losses.smoothed_targets(torch.tensor([0]), 10, SMOOTHING).double()
    assert entropy_by_hand(smooth[0].tolist()) == pytest.approx(of_truth, rel=0.05)


@pytest.mark.parametrize("profile", ["smoke", "laptop", "paper"])
def test_students_differ_in_their_targets_alone(profile):
    students = [a for a in experiments.arms("01", profile) if not a.name.startswith("teacher")]
    assert len(students) == 10
    steps = {-(-a.recipe.n_train // a.recipe.batch_size) * a.recipe.epochs for a in students}
    assert len(steps) == 1
    targets = {"label_smoothing", "teacher", "teacher_order"}
    for arm in students:
        if arm.table == "A first distillation":
            other, base = arm.recipe.as_dict(), students[0].recipe.as_dict()
            assert {k for k in other | base if other.get(k) != base.get(k)} <= targets


def test_every_seed_learns_from_the_same_images_as_the_text_says():
    recipe = experiments.arms("01", "laptop")[2].recipe
    parts = [transfer_set(recipe.with_seed(seed), data.load("bayes10"))[0] for seed in (0, 1)]
    assert len(parts[0]) == 1_000 and torch.equal(parts[0].images, parts[1].images)


def test_solution_1_finds_the_temperature_of_an_entropy(solutions):
    logits = solutions.example.tolist()
    t = solutions.temperature_of_entropy(solutions.example, 2.0)
    powers = [math.exp(z / t) for z in logits]
    assert entropy_by_hand([p / sum(powers) for p in powers]) == pytest.approx(2, abs=1e-6)


def test_solution_2_mixed_losses_are_mixed_targets_at_t_1_alone(solutions):
    by_autograd, by_formula = solutions.gradient_of_the_mixture(temperature=1.0)
    torch.testing.assert_close(by_autograd, by_formula, rtol=0, atol=1e-12)
    by_autograd, by_formula = solutions.gradient_of_the_mixture(temperature=4.0)
    assert (by_autograd - by_formula).abs().max() > 0.05


def test_solution_3_labels_rescue_the_accuracy_and_not_the_probabilities(solutions):
    assert solutions.mixed["accuracy"] > solutions.alone["accuracy"] - 25
    assert solutions.mixed["nll"] > 1.2 * solutions.alone["nll"]


def test_solution_4_is_as_soft_as_the_truth_and_knows_only_the_label(solutions):
    p, target, labels = solutions.truth, solutions.doubtful, solutions.labels
    for i in range(0, len(labels), 50):
        row = target[i].tolist()
        of_truth = entropy_by_hand(p[i].tolist())
        assert entropy_by_hand(row) == pytest.approx(of_truth, abs=1e-3)
        rest = [x for c, x in enumerate(row) if c != labels[i]]
        assert max(rest) - min(rest) < 1e-6 and row[labels[i]] >= max(rest)
    assert solutions.gain > 0
