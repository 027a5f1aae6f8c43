"""Chapter 02: what its arms share, how they differ, and that its solutions hold."""

import math

import pytest
import torch
from conftest import differ, load_solutions

from kdutils import experiments, losses

TEACHERS = ["still images", "jitter", "elastic views", "elastic views, label smoothing"]


@pytest.fixture(scope="module")
def solutions(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield load_solutions("02_training_teachers")


def recipes(profile: str = "laptop", number: str = "02") -> dict:
    return {arm.name: arm.recipe for arm in experiments.arms(number, profile)}


def test_the_teachers_differ_in_views_and_smoothing_alone():
    here = recipes()
    differing = {
        field
        for name in TEACHERS
        for field, value in vars(here[name]).items()
        if value != getattr(here[TEACHERS[0]], field)
    }
    assert differing == {"views", "label_smoothing"}
    assert [here[name].label_smoothing for name in TEACHERS] == [0, 0, 0, 0.1]


def test_the_students_differ_in_their_teacher_alone():
    plain = recipes()["student of the teacher on elastic views"]
    smooth = recipes()["student of the smoothing teacher"]
    assert {k for k, v in vars(plain).items() if getattr(smooth, k) != v} == {"teacher"}
    assert plain.alpha == 1 and plain.views == plain.teacher.views == "elastic"
    assert plain.view_seed != plain.teacher.view_seed  # the teacher was not fitted to these views


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_chapter_03_reads_the_same_records(profile):
    here = {recipe.id for recipe in recipes(profile).values()}
    there = recipes(profile, "03")
    shared = ("teacher 784-1200-1200-10", "student, distilled, views, no labels at all")
    assert {there[name].id for name in shared} <= here


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_both_kinds_of_numbers_have_the_same_recipe_and_one_is_another_chapters(profile):
    here = recipes(profile)
    ex = experiments.chapter("02")
    for name in (ex.MLP, ex.CNN):
        low, full = (here[f"{name}, {kind}"] for kind in ex.PRECISIONS)
        assert differ(low, full) == {"precision"}
    theirs = {arm.recipe for n in ("03", "12") for arm in experiments.arms(n, "laptop")}
    assert {recipes()[f"{name}, bfloat16"] for name in (ex.MLP, ex.CNN)} <= theirs


def test_smoothing_asks_for_the_gap_that_the_chapter_derives():
    target = losses.smoothed_targets(torch.tensor([4]), 10, 0.1)[0]
    assert float((target[4] / target[0]).log()) == pytest.approx(math.log(0.91 / 0.01))


def test_the_solutions_hold(solutions):
    """Their own checks ran on import; these are the numbers that the exercises ask for."""
    assert solutions.truth == pytest.approx(99.30, abs=0.01)  # 1 - .7 %
    assert len(solutions.changed) == 16
    assert all(mean == pytest.approx(16, abs=0.1) for mean in solutions.changed.values())
    assert set(solutions.averaged) == {1, 4, 16, 64}
