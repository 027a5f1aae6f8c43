"""Chapter 00: the official tutorial as published, the page as single source, its solutions."""

import inspect
import math

import pytest
import torch
from conftest import load_solutions

from kdutils import experiments, losses, models
from kdutils.registry import source_hash

CHAPTER = experiments.chapter("00")


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("00_your_first_distillation")


def test_networks_have_the_parameters_that_the_tutorial_prints():
    counts = {"tutorial-teacher": 1_186_986, "tutorial-student": 267_738}
    for name, count in counts.items():
        assert models.count_parameters(models.build(name, (3, 32, 32), 10)) == count


@pytest.mark.parametrize("profile", ["laptop", "paper"])
def test_recipes_are_those_of_the_tutorial(profile):
    arms = {arm.name: arm for arm in experiments.arms("00", profile)}
    assert len(arms) == 5
    for arm in arms.values():
        r = arm.recipe
        assert (r.dataset, r.optimizer, r.lr, r.epochs, r.batch_size) == (
            "cifar10", "adam", 1e-3, 10, 128,
        )  # fmt: skip
        assert (r.schedule, r.views, r.weight_decay, r.train_on) == ("constant", "none", 0, "train")
    taught = arms[CHAPTER.TAUGHT].recipe
    assert (taught.temperature, taught.alpha, taught.soft_scale) == (2, 0.25, 1)
    assert taught.with_seed(3).teacher == (arms[CHAPTER.TEACHER].recipe,)  # one for all seeds
    published = [arms[name].metrics["test_accuracy"] for name in (CHAPTER.TEACHER, CHAPTER.ALONE)]
    assert published == [75.10, 69.86] and arms[CHAPTER.TAUGHT].metrics["test_accuracy"] == 70.80


def test_the_readers_code_has_at_most_40_lines():
    lines = inspect.getsource(CHAPTER.tutorial).splitlines()
    assert 0 < len([line for line in lines if line.strip()]) <= 40


def test_the_page_defines_the_networks_and_ids_hash_its_text(clean_registries):
    page = experiments.data.ROOT / "notebooks" / "00_your_first_distillation.py"
    cell = inspect.getsource(CHAPTER.tutorial)
    assert cell in page.read_text(encoding="utf-8")
    again = CHAPTER.page_cell("tutorial")  # as a reader runs it, after `Lab` has
    assert again.TutorialTeacher is not CHAPTER.tutorial.TutorialTeacher
    assert again.recipes(dataset="cifar10", epochs=1) == CHAPTER.tutorial.recipes(
        dataset="cifar10", epochs=1
    )
    assert not source_hash(again.TutorialTeacher).startswith("unknown")


def test_a_tag_that_no_cell_has_is_named(tmp_path):
    page = tmp_path / "page.py"
    page.write_text("# %%\nx = 1\n", encoding="utf-8")
    with pytest.raises(LookupError, match="page.py must have one cell with the tag 'tutorial'"):
        CHAPTER.page_cell("tutorial", page)


def test_the_number_worked_out_on_the_page():
    z, t = torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]])
    soft = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    found = losses.kd_loss(z, t, torch.tensor([0]), temperature=2.0, alpha=0.25)
    assert float(found) == pytest.approx(0.25 * 4 * soft + 0.75 * math.log(2), rel=1e-6)
    assert soft == pytest.approx(0.1308120, abs=1e-7)


def test_solutions_run_and_patience_pays_the_distilled_student(solutions):
    last, first = solutions.patience[200], solutions.patience[5]
    assert last["distilled"] - first["distilled"] > last["labels alone"] - first["labels alone"]
    assert last["distilled"] > last["labels alone"] + 5


def test_solution_1_learns_far_above_chance_without_a_label(solutions):
    assert min(solutions.no_labels) > 50


def test_solution_4_adam_hides_the_fault_where_there_is_one_term(solutions):
    table = solutions.wrong.map(lambda found: sum(found) / len(found))
    assert table.loc["right", "α = 1"] == pytest.approx(table.loc["registered", "α = 1"], abs=0.3)
