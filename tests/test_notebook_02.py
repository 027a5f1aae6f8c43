"""Notebook 02: its arms, its solutions, and that its saved outputs say what the records say."""

import json

import nbformat
import pytest
import torch
from conftest import load_solutions, needs_mnist

from kdutils import course, data, metrics, models, profiles, tables
from kdutils.data import ROOT
from kdutils.runs import run
from kdutils.store import Store

NOTEBOOK = ROOT / "notebooks" / "02_training_teachers.ipynb"
TEACHERS = ["still images", "jitter", "elastic views", "elastic views, label smoothing"]


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("02_training_teachers")


def arm(name: str, profile: str = "laptop") -> course.Arm:
    return next(a for a in course.arms(2, profile) if a.name == name)


def test_the_teachers_differ_in_views_and_smoothing_alone():
    recipes = {name: arm(name).recipe for name in TEACHERS}
    budgets = {
        (r.model, r.epochs, r.batch_size, r.lr, r.schedule, r.dropout, r.n_train, r.train_on)
        for r in recipes.values()
    }
    assert len(budgets) == 1
    assert {n: r.views for n, r in recipes.items()} == dict(
        zip(TEACHERS, ("none", "jitter", "elastic", "elastic"), strict=True)
    )
    smoothing = [n for n, r in recipes.items() if r.label_smoothing]
    assert smoothing == ["elastic views, label smoothing"]


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_notebook_3_reads_the_same_records(profile):
    """The teachers on elastic views and on jitter, and the label-free student, are trained once."""
    here = {a.recipe.id for a in course.arms(2, profile)}
    there = {a.name: a.recipe.id for a in course.arms(3, profile)}
    for name in (
        "teacher 784-1200-1200-10",
        "teacher, jitter alone",
        "student, distilled, views, no labels at all",
    ):
        assert there[name] in here


def test_the_two_students_differ_in_their_teacher_alone():
    plain = arm("student of the teacher on elastic views").recipe
    smooth = arm("student of the smoothing teacher").recipe
    differing = {k for k, v in vars(plain).items() if getattr(smooth, k) != v}
    assert differing == {"teacher"} and plain.alpha == 1


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_the_short_run_of_resnet18_fits_its_data(profile):
    recipe = arm("ResNet-18, narrow", profile).recipe
    assert recipe.n_train <= data.BAYES10_IMAGES["train"]
    assert recipe.views == "none"  # bayes10 is shifted by a pixel at most, so crops would leave it
    net = models.build(recipe.model)
    assert models.count_parameters(net) <= 11_173_962


def test_solution_1_the_best_of_ten_looks_better_than_any(solutions):
    assert 99.41 < solutions.best_of() < 99.44  # the truth is 99.30
    assert solutions.best_of(networks=1) == pytest.approx(99.30, abs=0.01)


def test_solution_2_half_of_the_bits_change(solutions):
    mean, least, most = solutions.bits_changed()
    assert abs(mean - 16) < 0.1 and 15.5 < least <= most < 16.5


def test_solution_3_two_ways_to_choose_a_temperature(solutions, tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_RUNS", str(tmp_path))
    recipe = arm("elastic views", "smoke").recipe
    run(recipe)
    found = solutions.temperature_by_ece("smoke")
    logits, val = Store().logits(recipe)["val"], data.load(recipe.dataset).val.labels
    by_ece, by_nll = found["T by ECE"], found["T by NLL"]
    assert metrics.nll(logits / by_nll, val) <= metrics.nll(logits / by_ece, val)
    assert metrics.calibration_error(logits / by_ece, val) <= metrics.calibration_error(
        logits / by_nll, val
    )
    assert all(0 <= found[f"test ECE at T by {name}"] < 30 for name in ("ECE", "NLL"))


def test_solution_4_eight_bits_are_off_by_half_a_step(solutions):
    logits = 6 * torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    found = solutions.eight_bits(logits)
    assert found["codes"].dtype == torch.uint8
    assert found["largest error in steps"] <= 0.501
    assert 0 <= found["nats lost"] < 0.01


@needs_mnist
def test_the_saved_notebook_shows_what_the_records_say():
    """Every recorded mean of the committed error table stands in the committed outputs."""
    rows = [r for r in tables.results(2) if r["metric"] == "test_errors" and r["n"]]
    if not rows:
        pytest.skip("no record of notebook 02 is in the store")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    outputs = json.dumps([c.get("outputs", []) for c in notebook.cells if c.cell_type == "code"])
    for row in rows:
        shown = tables.interval(row["mean"], None, tables.digits_of(row["metric"]))
        assert shown in outputs, f"{row['arm']}: {shown} is not in the saved notebook"
