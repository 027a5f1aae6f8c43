"""Notebook 07: its arms, its solutions, and that its saved outputs say what the records say."""

import json

import nbformat
import numpy as np
import pytest
from conftest import load_solutions

from kdutils import course, profiles, tables
from kdutils.course import nb07
from kdutils.data import ROOT
from kdutils.runs import run_all

NOTEBOOK = ROOT / "notebooks" / "07_confusion_matrices.ipynb"
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("07_confusion_matrices")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A store that holds the two students at the smoke profile; environment set for the module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_RUNS", str(tmp_path_factory.mktemp("runs")))
        students = [arm(nb07.HARD).recipe, arm(nb07.DISTILLED).recipe]
        hard, distilled = run_all(students, SEEDS, quiet=True)
        yield {nb07.HARD: hard, nb07.DISTILLED: distilled}


def arm(name: str, profile: str = "smoke") -> course.Arm:
    return next(a for a in course.arms(7, profile) if a.name == name)


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_the_two_students_differ_in_what_they_learn_from_alone(profile):
    hard, distilled = (vars(arm(name, profile).recipe) for name in (nb07.HARD, nb07.DISTILLED))
    differing = {name for name, value in hard.items() if distilled[name] != value}
    assert differing <= {"teacher", "temperature", "alpha", "n_views", "bits"}


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_one_teacher_teaches_the_students_of_all_seeds(profile):
    teacher, distilled = (arm(name, profile).recipe for name in (nb07.TEACHER, nb07.DISTILLED))
    assert {distilled.with_seed(seed).teachers for seed in range(5)} == {(teacher,)}


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_notebook_4_has_the_same_runs_and_keeps_their_logits(profile):
    there = {a.recipe.id: a.keep_logits for a in course.arms(4, profile)}
    for a in course.arms(7, profile):
        assert a.keep_logits and there[a.recipe.id]


def test_solution_1_precision_follows_the_shares_and_recall_does_not(solutions):
    # by hand: of 100 images 90 are of class 0; it is called 1 in 10 % of the cases, 1 is called 0
    # in 20 %: 81 + 2 answers "0", of them 81 right; 9 + 8 answers "1", of them 8 right
    rows = np.array([[0.9, 0.1], [0.2, 0.8]])
    found = solutions.precision_at(rows, np.array([0.9, 0.1]))
    assert np.allclose(found, [81 / 83, 8 / 17])
    even = solutions.precision_at(rows, np.array([0.5, 0.5]))
    assert found[0] > even[0] and found[1] < even[1]


def test_solution_2_compares_ensembles_of_two(solutions, recorded):
    found = solutions.ensembles_of_two("smoke", SEEDS)
    assert found["hard alone"] == recorded[nb07.HARD][0].metrics["test_errors"]
    assert found["distilled alone"] == recorded[nb07.DISTILLED][0].metrics["test_errors"]
    for name in ("hard + distilled", "hard + hard"):
        assert 0 < found[name] < 5_000


def test_solution_3_refusing_helps_and_a_temperature_hardly_matters(solutions, recorded):
    for name, records in recorded.items():
        found = solutions.accuracy_when_refusing("smoke", name)
        assert found["all"] == pytest.approx(records[0].metrics["test_accuracy"], abs=1e-3)
        if name == nb07.TEACHER:  # students of seconds do not know what they do not know
            assert found["as trained"] > found["all"]
            assert abs(found["scaled"] - found["as trained"]) < 2


def test_solution_4_the_bootstrap_surrounds_what_was_counted(solutions, recorded):
    counted, (low, high) = solutions.bootstrap("smoke")
    errors = [recorded[name][0].metrics["test_errors"] for name in (nb07.HARD, nb07.DISTILLED)]
    assert counted == errors[0] - errors[1]
    assert low < counted < high


def test_solution_4_scatter_over_images_is_that_of_the_bootstrap(solutions, recorded):
    over_images, over_seeds = solutions.scatter("smoke", SEEDS)
    _, (low, high) = solutions.bootstrap("smoke", SEEDS[0])
    assert over_images == pytest.approx((high - low) / 2 / 1.96, rel=0.1)
    counted = [solutions.bootstrap("smoke", seed)[0] for seed in SEEDS]
    assert over_seeds == pytest.approx(abs(counted[0] - counted[1]) / 2**0.5)


def test_holm_of_the_notebook_is_never_below_p_nor_above_bonferroni():
    """The function as it stands in the notebook, on many draws."""
    notebook = (NOTEBOOK.with_suffix(".py")).read_text(encoding="utf-8")
    start = notebook.index("def holm(p):")
    space = {"np": np}
    exec(notebook[start : notebook.index("\n\n\n", start)].split("\n\n#")[0], space)
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(500):
        p = generator.uniform(size=10)
        adjusted = space["holm"](p)
        assert (adjusted >= p).all() and (adjusted <= np.minimum(1, 10 * p) + 1e-12).all()
        assert adjusted.min() == pytest.approx(min(1, 10 * p.min()))
        assert (adjusted[p.argsort()] == np.sort(adjusted)).all()
        alarms += bool((adjusted < 0.05).any())
    assert alarms / 500 < 0.08  # 5 %, where single tests would say 40 %


def test_the_saved_notebook_shows_what_the_records_say():
    """Every recorded mean accuracy stands in the committed outputs."""
    rows = [r for r in tables.results(7) if r["metric"] == "test_accuracy"]
    if len(rows) < 3:
        pytest.skip("not every network of notebook 07 has a record")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    outputs = json.dumps([c.get("outputs", []) for c in notebook.cells if c.cell_type == "code"])
    for row in rows:
        shown = tables.interval(row["mean"], None, tables.digits_of(row["metric"]))
        assert shown in outputs, f"{row['arm']}: {shown} is not in the saved notebook"
