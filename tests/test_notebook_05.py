"""Chapter 05: its arms as the poster has them, and its solutions against independent counts."""

import numpy as np
import pytest
from conftest import load_solutions
from scipy import stats

from kdutils import experiments
from kdutils.experiments import PROFILES, Lab

NUMBER, TABLE = "05", "Deeper distillation"


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("05_deeper_distillation")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield Lab(NUMBER, "smoke", [0])


def test_the_published_values_are_those_of_the_poster():
    students = {
        "resnet18, hard labels": 94.175, "resnet18 from wrn-28-10": 94.333,
        "resnet18 from preresnet-164": 94.531, "resnet18 from densenet-100-12": 94.729,
        "resnet18 from resnext-29-8x64": 94.788, "resnet18 from itself": None,
        "resnet18 from a permuted wrn-28-10": None,
    }  # fmt: skip
    arms = experiments.arms(NUMBER, "paper")
    assert {a.name: a.metrics["test_accuracy"] for a in arms if a.table == TABLE} == students
    for profile in ("smoke", "laptop"):  # other networks: nothing was published about them
        arms = experiments.arms(NUMBER, profile)
        assert len(arms) == 26 and {a.metrics["test_accuracy"] for a in arms} == {None}


@pytest.mark.parametrize("profile", PROFILES)
def test_students_differ_in_what_they_learn_from_alone(profile):
    arms = [a.recipe for a in experiments.arms(NUMBER, profile) if a.table == TABLE]
    hard = arms[0].as_dict()
    taught = {"teacher", "teacher_order", "temperature", "alpha", "n_views", "bits"}
    for recipe in arms[1:]:
        other = recipe.as_dict()
        assert {k for k in hard.keys() | other.keys() if hard.get(k) != other.get(k)} <= taught
    assert len({(r.temperature, r.alpha, r.n_views, r.bits) for r in arms[1:]}) == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_every_student_learns_from_a_teacher_that_the_chapter_shows(profile):
    arms = experiments.arms(NUMBER, profile)
    shown = [a.recipe for a in arms if "teacher" in a.name.split()[:2]]
    learned = {t for a in arms for t in a.recipe.teachers}
    assert learned == set(shown) and len(shown) == 10
    assert [a.recipe.teacher_order for a in arms].count("permuted") == 1


def test_longer_students_differ_in_their_epochs_and_second_teachers_in_their_seed_alone():
    """The arms of section 7, so that a difference between two of them has one cause."""
    by_name = {a.name: a.recipe.as_dict() for a in experiments.arms(NUMBER, "laptop")}
    pairs = {f"{student}, {k} times the epochs": student for k in (2, 4)
             for student in ("resnet8, hard labels", "resnet8 from wrn-10-2")}  # fmt: skip
    for new, old in pairs.items():
        a, b = by_name[new], by_name[old]
        assert {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)} == {"epochs"}, new
    for name in ("wrn-10-2", "preresnet-20", "densenet-22-12", "resnext-11-4x8-w16"):
        a, b = by_name[f"second teacher {name}"], by_name[f"teacher {name}"]
        assert {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)} == {"seed"}, name
    a = by_name["resnet8 from itself, equal epochs"]
    assert a["teacher"][0]["epochs"] == a["epochs"] == 15


def test_itself_had_a_teacher_of_twice_the_epochs_as_the_chapter_says():
    recipe = next(a.recipe for a in experiments.arms(NUMBER, "laptop") if a.name.endswith("itself"))
    (teacher,) = recipe.teachers
    assert (teacher.model, recipe.model) == ("resnet8", "resnet8")
    assert (teacher.epochs, recipe.epochs) == (30, 15)


def test_solution_1_seven_teachers_are_needed(solutions):
    p = solutions.p_of_one_exchange
    assert p(5) == pytest.approx(10 / 120)
    # with n - 1 neighbours to exchange, n orders are as good or better, and n in reverse
    assert [p(n) for n in (6, 7)] == pytest.approx([12 / 720, 14 / 5040])
    assert 4 * p(6) > 0.05 > 4 * p(7)


def test_solution_2_pairing_saves_what_the_arms_share(solutions):
    assert solutions.paired_seeds(0.1, 0.14, 0) == 31
    n = solutions.paired_seeds(0.1, 0.14, 0.5)
    covariance = 0.14**2 * np.array([[1, 0.5], [0.5, 1]])
    draws = np.random.default_rng(0).multivariate_normal([0.1, 0], covariance, (4_000, n))
    p = stats.ttest_1samp(draws[..., 0] - draws[..., 1], 0, axis=1).pvalue
    assert 0.7 < (p < 0.05).mean() < 0.85  # 80 % less what not knowing sigma costs


def test_solution_3_an_ensemble_is_no_worse_than_its_average_member(solutions, lab):
    found = solutions.ensembles(lab)
    nlls = [found[name][1] for name in solutions.families(lab)]
    assert len(nlls) == 4 and len(found) == 6
    for average in ("averaged logits", "averaged probabilities"):
        assert found[average][1] <= np.mean(nlls) + 1e-9


def test_solution_4_a_temperature_changes_no_answer(solutions, lab):
    found = solutions.tempered(lab)
    assert len(found) == 5
    for name, (t, before, after, changed) in found.items():
        assert 0.1 < t < 20 and changed == 0
        assert before == pytest.approx(lab.values(name, "test_nll")[0], abs=1e-3)
        assert after < before + 0.05


def test_solution_5_the_early_teacher_s_student_differs_in_its_teacher_alone(solutions):
    lab = Lab(NUMBER, "laptop", [0])
    name, recipe = solutions.stopped_early(lab)
    was, new = lab.arms[name].recipe.as_dict(), recipe.as_dict()
    assert {k for k in was.keys() | new.keys() if was.get(k) != new.get(k)} == {"teacher"}
    assert recipe.teachers[0].epochs == recipe.epochs
