"""Notebook 01: the slider, its solutions, and what its arms take for granted."""

import json
import math
import re

import pytest
import torch
from conftest import load_solutions

from kdutils import bayes10, course, losses
from kdutils.course import nb01
from kdutils.knowledge import log_posterior
from kdutils.slider import START, TEMPERATURES, TemperatureSlider

LOGITS = (5.0, 3.0, 0.0, -1.5)
NAMES = ("apple", "pear", "cup & saucer", "bowl")


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("01_soft_and_hard_targets")


@pytest.fixture(scope="module")
def page():
    return TemperatureSlider(LOGITS, NAMES, label="pear")._repr_html_()


def by_hand(logits, temperature):
    """The softmax in plain Python."""
    powers = [math.exp(z / temperature) for z in logits]
    return [power / sum(powers) for power in powers]


def test_every_position_of_the_slider_shows_the_softmax_and_its_entropy(page):
    states = json.loads(re.search(r'class="kdt-states">(.*?)</script>', page)[1])
    assert len(states) == len(TEMPERATURES)
    for state, t in zip(states, TEMPERATURES, strict=True):
        q = by_hand(LOGITS, t)
        assert state["p"] == [f"{p:.4f}" for p in q]
        assert float(state["t"]) == pytest.approx(t, abs=0.005)
        entropy = -sum(p * math.log(p) for p in q if p > 0)
        assert float(state["h"]) == pytest.approx(entropy, abs=0.00501)


def test_without_a_script_the_slider_shows_t_1_and_no_dead_control(page):
    still = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    q = by_hand(LOGITS, 1.0)
    assert re.findall(r'class="kdt-number">([^<]*)<', still) == [f"{p:.4f}" for p in q]
    assert re.findall(r"width:([\d.]+)%\"", still) == [f"{100 * p:.2f}" for p in q]
    assert re.search(r'<div class="kdt-control" hidden>', still)
    assert TEMPERATURES[START] == 1 and f'value="{START}"' in still


def test_the_slider_can_be_used_without_eyes_or_mouse(page):
    name = re.search(r'<input id="([^"]+)" type="range"', page)[1]
    assert f'<label for="{name}">' in page
    assert 'aria-live="polite"' in page and 'aria-valuetext="T = 1"' in page
    assert page.count('<th scope="row">') == len(NAMES) and "<caption>" in page


def test_the_slider_fetches_nothing_and_escapes_names(page):
    assert not re.search(r"https?:|src=\"(?!data:)|@import|url\(", page)
    assert "cup &amp; saucer" in page and "cup & saucer" not in page
    again = TemperatureSlider(LOGITS, NAMES, label="pear")
    assert page == again._repr_html_()


def test_the_slider_shows_a_picture_with_words_for_it():
    image = bayes10.sample(1, seed=0)[0][0]
    made = TemperatureSlider(LOGITS, NAMES, picture=image, alt='a "small" picture')
    assert 'alt="a &quot;small&quot; picture"' in made._repr_html_()
    assert "data:image/png;base64," in made._repr_html_()
    assert repr(made).startswith("A slider") and "apple 0.8" in repr(made)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (((1.0,), ("a",)), "at least two"),
        (((1.0, 2.0, 3.0), ("a", "b")), "3 logits and 2 class names"),
        (((1.0, math.nan), ("a", "b")), "finite"),
        (((1.0, 2.0), ("a", "b"), "c"), "none of the classes"),
        (((1.0, 2.0), ("a", "b"), "a", torch.zeros(3, 2, 2, dtype=torch.uint8)), "alt"),
    ],
)
def test_the_slider_refuses_what_it_cannot_show(given, message):
    with pytest.raises(ValueError, match=message):
        TemperatureSlider(*given)


def test_the_smoothing_control_is_as_soft_as_the_posterior():
    q = log_posterior("test").double().softmax(1)
    of_truth = float(-(q * q.clamp(min=1e-300).log()).sum(1).mean())
    smooth = losses.smoothed_targets(torch.tensor([0]), 10, nb01.SMOOTHING).double()
    of_labels = float(-(smooth * smooth.log()).sum())
    assert of_labels == pytest.approx(of_truth, rel=0.05)


@pytest.mark.parametrize("profile", ["smoke", "laptop", "paper"])
def test_students_differ_in_their_targets_alone(profile):
    students = [a for a in course.arms(1, profile) if not a.name.startswith("teacher")]
    steps = {-(-a.recipe.n_train // a.recipe.batch_size) * a.recipe.epochs for a in students}
    assert len(steps) == 1
    targets = {"label_smoothing", "teacher", "teacher_order"}
    for arm in students:
        if arm.table == "A first distillation":
            other, base = arm.recipe.as_dict(), students[0].recipe.as_dict()
            assert {k for k in other | base if other.get(k) != base.get(k)} <= targets


def test_solution_1_finds_the_temperature_of_an_entropy(solutions):
    logits = torch.tensor([8.0, 6.0, 1.0, 0.0, 0.0, -1.0, -1.0, -2.0, -3.0, -4.0])
    t = solutions.temperature_of_entropy(logits, 2.0)
    q = by_hand(logits.tolist(), t)
    assert -sum(p * math.log(p) for p in q) == pytest.approx(2, abs=1e-6)


def test_solution_2_mixed_losses_are_mixed_targets_at_t_1_alone(solutions):
    by_autograd, by_formula = solutions.gradient_of_the_mixture(temperature=1.0)
    torch.testing.assert_close(by_autograd, by_formula, rtol=0, atol=1e-12)
    by_autograd, by_formula = solutions.gradient_of_the_mixture(temperature=4.0)
    assert (by_autograd - by_formula).abs().max() > 0.05


def test_solution_3_labels_rescue_a_student_of_a_permuted_teacher(solutions, tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_RUNS", str(tmp_path))
    hard, mixed = solutions.permuted_with_labels("smoke")
    assert mixed.recipe.alpha == 0.5 and mixed.recipe.teacher_order == "permuted"
    # half of every target is wrong, and still the right class has the largest share
    assert mixed.metrics["test_accuracy"] > 40
    assert mixed.metrics["test_nll"] > hard.metrics["test_nll"]


def test_solution_4_shuffling_within_classes_keeps_the_heat_map_and_loses_the_gain(solutions):
    labels = torch.tensor([0, 1, 0, 2, 1, 0, 2, 1])
    order = solutions.shuffled_within_classes(labels, seed=3)
    assert order.sort().values.tolist() == list(range(8)) and torch.equal(labels[order], labels)
    accuracy = solutions.class_or_image("smoke", seeds=(0, 1))
    gain = accuracy["of this image"] - accuracy["hard labels"]
    assert gain > 0 and accuracy["of this class"] - accuracy["hard labels"] < gain / 2
