"""Notebook 05: its solutions, its arms, and that its saved outputs say what the records say."""

import json

import nbformat
import numpy as np
import pytest
import torch
from conftest import load_solutions
from scipy import stats

from kdutils import course, models, profiles, tables
from kdutils.course import nb05
from kdutils.data import ROOT
from kdutils.runs import run

NOTEBOOK = ROOT / "notebooks" / "05_deeper_distillation.ipynb"


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("05_deeper_distillation")


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    """A store that holds two of the smoke profile's teachers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_RUNS", str(tmp_path_factory.mktemp("runs")))
        for family in ("DenseNet-BC", "ResNeXt"):
            run(nb05.teacher(profiles.get("smoke"), family))
        yield


def test_solution_1_the_posters_preresnet_110_has_164_layers(solutions):
    assert [solutions.true_depth(n) for n in (20, 44, 56, 110)] == [20, 65, 83, 164]
    with torch.device("meta"):
        net = models.build(f"preresnet-{solutions.true_depth(110)}")
    assert models.count_parameters(net) == 1_703_258


def test_solution_2_pairing_saves_what_the_arms_share(solutions):
    assert 2 * solutions.paired_seeds(0.1, 0.14, 0.5) in (31, 32)
    n = solutions.paired_seeds(0.1, 0.14, 0.5)
    covariance = 0.14**2 * np.array([[1, 0.5], [0.5, 1]])
    draws = np.random.default_rng(0).multivariate_normal([0.1, 0], covariance, (4_000, n))
    p = stats.ttest_1samp(draws[..., 0] - draws[..., 1], 0, axis=1).pvalue
    assert 0.7 < (p < 0.05).mean() < 0.85  # 80 % less what not knowing sigma costs


def test_solution_3_an_ensemble_is_no_worse_than_its_average_member(solutions, teachers):
    found = solutions.ensemble("smoke")
    together = found.pop("ensemble")
    assert set(found) == {"DenseNet-BC", "ResNeXt"}
    assert together["nll"] <= np.mean([m["nll"] for m in found.values()]) + 1e-9


def test_solution_4_a_temperature_lowers_the_nll_that_chose_it(solutions, teachers):
    found = solutions.tempered("smoke")
    assert set(found) == {"DenseNet-BC", "ResNeXt"}
    for each in found.values():
        assert each["validation NLL after"] <= each["validation NLL before"] + 1e-6
        assert 0.1 < each["T"] < 20


def test_the_published_values_are_those_of_the_poster():
    students = {
        "resnet18, hard labels": 94.175, "resnet18 from wrn-28-10": 94.333,
        "resnet18 from preresnet-164": 94.531, "resnet18 from densenet-100-12": 94.729,
        "resnet18 from resnext-29-8x64": 94.788, "resnet18 from itself": None,
        "resnet18 from a permuted wrn-28-10": None,
    }  # fmt: skip
    arms = course.arms(5, "paper")
    shown = {
        a.name: a.metrics["test_accuracy"] for a in arms if a.table == "Deeper distillation"
    }  # fmt: skip
    assert shown == students
    for profile in ("smoke", "laptop"):  # other networks: nothing was published about them
        for a in course.arms(5, profile):
            assert a.metrics["test_accuracy"] is None


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_students_differ_in_what_they_learn_from_alone(profile):
    arms = [a.recipe for a in course.arms(5, profile) if a.table == "Deeper distillation"]
    hard = arms[0].as_dict()
    taught = {"teacher", "teacher_order", "temperature", "alpha", "n_views", "bits"}
    for recipe in arms[1:]:
        other = recipe.as_dict()
        assert {k for k in hard.keys() | other.keys() if hard.get(k) != other.get(k)} <= taught
    assert len({(r.temperature, r.alpha, r.n_views, r.bits) for r in arms[1:]}) == 1


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_every_student_learns_from_a_teacher_that_the_notebook_shows(profile):
    arms = course.arms(5, profile)
    shown = {a.recipe for a in arms if a.table == "Teachers"}
    learned = {t for a in arms for t in a.recipe.teachers}
    assert learned == shown and len(shown) == 5
    assert [a.recipe.teacher_order for a in arms].count("permuted") == 1


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_one_teacher_is_the_students_own_network(profile):
    arms = course.arms(5, profile)
    itself = next(a.recipe for a in arms if a.name.endswith(nb05.ITSELF))
    assert itself.teachers[0].model == itself.model
    assert itself.teachers[0].view_stream != itself.view_stream  # it has seen other views


def test_the_saved_notebook_shows_what_the_records_say():
    """Every recorded mean of the committed accuracy tables stands in the committed outputs."""
    rows = [r for r in tables.results(5) if r["metric"] == "test_accuracy" and r["n"]]
    if not rows:
        pytest.skip("no record of notebook 05 is in the store")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    outputs = json.dumps([c.get("outputs", []) for c in notebook.cells if c.cell_type == "code"])
    for row in rows:
        shown = tables.interval(row["mean"], None, tables.digits_of(row["metric"]))
        assert shown in outputs, f"{row['arm']}: {shown} is not in the saved notebook"
