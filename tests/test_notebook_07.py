"""Chapter 07: its three networks, and its solutions against counts by hand."""

import numpy as np
import pytest
from conftest import load_solutions

from kdutils import experiments
from kdutils.experiments import PROFILES, Lab

NUMBER, TEACHER = "07", "teacher"
HARD, DISTILLED = "CNN5, no dropout", "CNN5 distilled, no dropout"


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("07_confusion_matrices")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield Lab(NUMBER, "smoke", [0, 1])


def recipe(name: str, profile: str):
    return next(a.recipe for a in experiments.arms(NUMBER, profile) if a.name == name)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_two_students_differ_in_what_they_learn_from_alone(profile):
    hard, taught = (recipe(name, profile).as_dict() for name in (HARD, DISTILLED))
    fields = hard.keys() | taught.keys()
    differing = {name for name in fields if hard.get(name) != taught.get(name)}
    assert {"teacher"} < differing <= {"teacher", "temperature", "alpha", "n_views", "bits"}


@pytest.mark.parametrize("profile", PROFILES)
def test_one_teacher_teaches_the_students_of_all_seeds(profile):
    taught = recipe(DISTILLED, profile)
    assert {taught.with_seed(s).teachers for s in range(5)} == {(recipe(TEACHER, profile),)}


@pytest.mark.parametrize("profile", PROFILES)
def test_chapter_4_has_the_same_runs_and_keeps_their_logits(profile):
    there = {a.recipe.id: a.keep_logits for a in experiments.arms("04", profile)}
    here = experiments.arms(NUMBER, profile)
    assert len(here) == 4
    for arm in here:
        assert arm.keep_logits and there[arm.recipe.id]


def test_published_values_are_those_of_the_poster():
    published = {a.name: a.metrics["test_accuracy"] for a in experiments.arms(NUMBER, "laptop")}
    assert published == {TEACHER: None, HARD: 84.74, DISTILLED: 85.69, "CNN5, patient": None}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_control_of_equal_accuracy_has_more_epochs_and_nothing_else(profile):
    hard, longer = (recipe(name, profile).as_dict() for name in (HARD, "CNN5, patient"))
    differing = {k for k in hard.keys() | longer.keys() if hard.get(k) != longer.get(k)}
    assert differing == {"epochs"} and longer["epochs"] > hard["epochs"]


def test_solution_1_precision_follows_the_shares_and_recall_does_not(solutions):
    # by hand: of 100 images 90 are of class 0; it is called 1 in 10 % of the cases, 1 is called 0
    # in 20 %: 81 + 2 answers "0", of them 81 right; 9 + 8 answers "1", of them 8 right
    rows = np.array([[0.9, 0.1], [0.2, 0.8]])
    found = solutions.precision_at(rows, np.array([0.9, 0.1]))
    assert np.allclose(found, [81 / 83, 8 / 17])
    even = solutions.precision_at(rows, np.array([0.5, 0.5]))
    assert found[0] > even[0] and found[1] < even[1]


def test_solution_2_a_network_averaged_with_itself_makes_its_own_errors(solutions, lab):
    recorded = lab.values(HARD, "test_errors")[0]
    assert solutions.ensemble_errors(lab, (HARD, 0), (HARD, 0)) == recorded
    assert 0 < solutions.ensemble_errors(lab, (HARD, 0), (DISTILLED, 0)) < 5_000


def test_solution_3_refusing_nothing_gives_the_recorded_accuracy(solutions, lab):
    recorded = lab.values(TEACHER, "test_accuracy")[0]
    refuse = solutions.accuracy_when_refusing
    assert refuse(lab, TEACHER, 0, refuse=0.0) == pytest.approx(recorded, abs=1e-3)
    assert refuse(lab, TEACHER, 0) > recorded  # it knows something about its own doubt
    assert abs(refuse(lab, TEACHER, 0, divide=True) - refuse(lab, TEACHER, 0)) < 2


def test_solution_4_the_bootstrap_scatters_as_the_formula_says(solutions, lab):
    b, c, draws = solutions.bootstrap(lab, 0)
    before, after = (lab.values(name, "test_errors")[0] for name in (HARD, DISTILLED))
    assert b - c == before - after
    n = len(lab.dataset("cifar10").test)
    assert draws.std() == pytest.approx((b + c - (b - c) ** 2 / n) ** 0.5, rel=0.1)
    assert draws.mean() == pytest.approx(b - c, abs=4)
