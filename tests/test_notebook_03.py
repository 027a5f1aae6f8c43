"""Notebook 03: its solutions, and that its saved outputs say what the records say."""

import json

import nbformat
import pytest
import torch
from conftest import load_solutions, needs_mnist

from kdutils import course, tables
from kdutils.data import ROOT
from kdutils.runs import run, run_all

NOTEBOOK = ROOT / "notebooks" / "03_distilling_mlps.ipynb"


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("03_distilling_mlps")


@pytest.fixture
def smoke_store(tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_RUNS", str(tmp_path))


def arm(name: str):
    return next(a for a in course.arms(3, "smoke") if name in a.name)


def test_solution_1_scales_both_terms_of_the_published_loss(solutions):
    from kdutils.losses import kd_loss

    generator = torch.Generator().manual_seed(0)
    s, t = (torch.randn(20, 10, generator=generator, dtype=torch.float64) for _ in range(2))
    labels = torch.arange(20) % 10
    published = kd_loss(s, t, labels, 20, 0.7, soft_scale=0.2)
    alpha, scale = solutions.matching_alpha(0.7)
    assert torch.allclose(published, scale * kd_loss(s, t, labels, 20, alpha), rtol=1e-12, atol=0)


def test_solutions_2_and_4_run_without_a_three(solutions, smoke_store):
    run(arm("no 3 in the transfer set").recipe)
    found = solutions.bias_from_frequency("smoke")
    assert 0 <= found["threes right (%)"] <= 100
    record = solutions.without_two("smoke", (3, 8))
    assert record.recipe.without_classes == (3, 8)
    assert "class_bias" not in record.metrics  # there is one bias for one unseen class


def test_solution_3_an_ensemble_of_teachers(solutions, smoke_store):
    run_all([arm("teacher 784").recipe], [0, 1, 2], quiet=True)
    found = solutions.ensemble_errors("smoke", (0, 1, 2))
    assert found["members"] == 3 and found["ensemble"] <= found["best member"] + 3


def test_every_cell_of_the_posters_table_is_there_twice():
    published = {
        "teacher 1200, lr 0.01": 98.30, "student 800, lr 0.01": 98.10,
        "student 800, lr 0.1": 97.75, "student 800 + KD, lr 0.01": 98.18,
        "student 800 + KD, lr 0.1": 98.50, "student 800 + KD, unlabelled, lr 0.01": 97.69,
        "student 800 + KD, unlabelled, lr 0.1": 98.16, "teacher 1200, lr 0.1": None,
    }  # fmt: skip
    for table in ("As published", "Done right"):
        ours = {a.name: a for a in course.arms(3, "laptop") if a.table == table}
        assert {n: a.metrics["test_accuracy"] for n, a in ours.items()} == published
        for name, a in ours.items():
            assert a.recipe.train_on == ("all" if table == "As published" else "train")
            if "KD" in name and table == "Done right":
                assert a.recipe.soft_scale == 1


def test_all_students_of_hintons_experiment_have_one_budget():
    students = [
        a.recipe for a in course.arms(3, "laptop")
        if a.table == "Hinton's experiment" and a.name.startswith("student")
    ]  # fmt: skip
    budgets = {
        (r.model, r.epochs, r.batch_size, r.lr, r.schedule, r.optimizer, r.train_on)
        for r in students
    }
    assert len(students) > 10 and len(budgets) == 1


@needs_mnist
def test_the_saved_notebook_shows_what_the_records_say():
    """Every recorded mean of the committed tables stands in the committed outputs."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    outputs = json.dumps([c.get("outputs", []) for c in notebook.cells if c.cell_type == "code"])
    metrics = ("test_errors", "test_accuracy")
    rows = [r for r in tables.results(3) if r["metric"] in metrics and r["recorded"]]
    assert rows
    for row in rows:
        shown = tables.interval(row["mean"], None, tables.digits_of(row["metric"]))
        assert shown in outputs, f"{row['arm']}: {shown} is not in the saved notebook"
