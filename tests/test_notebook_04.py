"""Notebook 04: its solutions, its arms, and that its saved outputs say what the records say."""

import json

import nbformat
import pytest
import torch
from conftest import load_solutions

from kdutils import course, profiles, tables
from kdutils.course import nb04
from kdutils.data import ROOT
from kdutils.runs import run
from kdutils.store import Store

NOTEBOOK = ROOT / "notebooks" / "04_cnn5_from_a_larger_network.ipynb"


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("04_cnn5_from_a_larger_network")


def test_solution_1_is_the_limit_of_the_exact_gradient(solutions):
    generator = torch.Generator().manual_seed(0)
    z, v = 3 * torch.randn(2, 400, 10, generator=generator, dtype=torch.float64)
    y = torch.randint(10, (400,), generator=generator)
    T, alpha = 200.0, 0.01
    z.requires_grad_(True)
    from kdutils.losses import kd_loss

    def length(weight_soft: bool) -> torch.Tensor:
        a = alpha if weight_soft else 0.0
        loss = 400 * kd_loss(z, v, y, T, a, soft_scale=0.1)
        if weight_soft:  # take the label's part away again
            loss = loss - 400 * (1 - alpha) * torch.nn.functional.cross_entropy(z, y)
        else:
            loss = (1 - alpha) * loss
        return torch.autograd.grad(loss, z)[0].norm(dim=1).mean()

    soft, hard = length(True), length(False)
    found = solutions.teachers_share(z.detach(), v, y)
    assert found == pytest.approx(float(soft / (soft + hard)), rel=0.02)
    assert found < 0.005


def test_solution_2_both_repairs_fit_every_answer(solutions):
    assert solutions.repaired() == {"by image": 1.0, "never shuffled": 1.0}


def test_solution_3_the_teacher_has_seen_no_more_labels_than_the_student(
    solutions, tmp_path
):  # fmt: skip
    teacher, student = solutions.teacher_of_few_labels("smoke")
    assert teacher.n_train == student.n_labels < student.n_train
    record = run(student, Store(tmp_path / "runs", tmp_path / "records"))
    assert record.metrics["test_accuracy"] > 0 and record.recipe.teachers == (teacher,)


def test_solution_4_luck_shrinks_as_the_settings_differ_more(solutions):
    none, some, much = (solutions.winners_excess(ratio) for ratio in (0, 1, 10))
    assert none == pytest.approx(2.16, abs=0.02)  # the expected maximum of 40 normal numbers
    assert none > some > much > 0


def test_the_posters_six_rows_are_there_with_their_published_values():
    published = {
        "CNN5, dropout .5": 83.51, "CNN5, no dropout": 84.74,
        "CNN5 distilled, dropout .5": 84.49, "CNN5 distilled, no dropout": 85.69,
        "CNN5, 5 % of the labels": 65.86, "CNN5 distilled, 5 % of the labels": 66.71,
        "teacher": None,
    }  # fmt: skip
    for profile in profiles.PROFILES:
        rows = [a for a in course.arms(4, profile) if a.table == "Six rows of CNN5"]
        assert {a.name: a.metrics["test_accuracy"] for a in rows} == published


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_distilled_and_hard_students_differ_in_the_teacher_alone(profile):
    arms = {a.name: a.recipe for a in course.arms(4, profile)}
    taught = {"teacher", "temperature", "alpha", "n_views", "bits"}
    for hard, distilled in (
        ("CNN5, no dropout", "CNN5 distilled, no dropout"),
        ("CNN5, dropout .5", "CNN5 distilled, dropout .5"),
        ("CNN5, 5 % of the labels", "CNN5 distilled, 5 % of the labels"),
        ("CNN5, patient", "CNN5 distilled, patient"),
    ):
        a, b = arms[hard].as_dict(), arms[distilled].as_dict()
        assert {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)} <= taught
        assert arms[distilled].soft_scale == 1 and arms[distilled].teacher_order == "matched"


@pytest.mark.parametrize("profile", profiles.PROFILES)
def test_the_anatomy_is_a_full_factorial_of_two_faults_in_the_runs(profile):
    parts = [s for s in nb04.SHARES if any(a.table.endswith(s) for a in course.arms(4, profile))]
    assert parts == list(nb04.SHARES) or profile == "smoke"
    for share in parts:
        cells = {
            (a.recipe.teacher_order, a.recipe.soft_scale)
            for a in course.arms(4, profile)
            if a.table.endswith(share) and a.recipe.teacher
        }
        assert cells == {(o, s) for o in ("matched", "reshuffled") for s in (1.0, 0.1)}
    for a in course.arms(4, profile):
        assert a.recipe.watch_test == a.table.startswith("Anatomy")


def test_the_saved_notebook_shows_what_the_records_say():
    """Every recorded mean of the six rows stands in the committed outputs."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    outputs = json.dumps([c.get("outputs", []) for c in notebook.cells if c.cell_type == "code"])
    names = {a.name for a in course.arms(4, "laptop") if a.table == "Six rows of CNN5"}
    rows = [r for r in tables.results(4) if r["metric"] == "test_accuracy" and r["n"]]
    rows = [r for r in rows if r["arm"] in names]
    assert rows
    for row in rows:
        shown = tables.interval(row["mean"], None, 2)
        assert shown in outputs, f"{row['arm']}: {shown} is not in the saved notebook"
