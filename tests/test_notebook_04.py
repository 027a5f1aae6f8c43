"""Chapter 04: its solutions, and that its arms are the experiment that the page describes."""

from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from conftest import load_solutions
from experiments import ledger

from kdutils import experiments
from kdutils.losses import kd_loss
from kdutils.runs import run

ex = experiments.chapter("04")


@pytest.fixture(scope="module")
def solutions():
    return load_solutions("04_cnn5_from_a_larger_network")


def test_solution_1_is_pytorchs_own_gradient_and_below_half_a_percent(solutions):
    generator = torch.Generator().manual_seed(0)
    v = 3 * torch.randn(400, 10, generator=generator, dtype=torch.float64)
    y = torch.randint(10, (400,), generator=generator)
    z = torch.zeros_like(v).requires_grad_()
    soft = kd_loss(z, v, None, 20.0, 1.0, soft_scale=0.1) * 0.01
    hard = 0.99 * F.cross_entropy(z, y)
    a, b = (torch.autograd.grad(x, z)[0].norm(dim=1).mean() for x in (soft, hard))
    found = solutions.teachers_share(z.detach(), v, y)
    assert found == pytest.approx(float(a / (a + b)), rel=1e-6)
    assert 0 < found < 0.005


def test_solution_2_tells_own_answers_from_those_of_others(solutions):
    labels = torch.arange(200) % 10
    answers = 2.0 * F.one_hot(labels, 10)
    solutions.assert_answers_fit(answers, labels)
    shuffled = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    with pytest.raises(AssertionError, match="whose are they"):
        solutions.assert_answers_fit(answers[shuffled], labels)


def test_solution_3_no_recipe_of_the_chain_has_seen_another_label(solutions, store):
    student = solutions.second_generation("smoke")
    (first,) = student.teachers
    (novice,) = first.teachers
    assert student.n_labels == first.n_labels == novice.n_train < 500 == student.n_train
    assert novice.teacher is None
    assert run(student, store).recipe.teachers == (first,)


def test_solution_5_is_the_shapley_value_where_nothing_interacts(solutions):
    own = {"a": 2.0, "b": -1.0, "c": 0.5, "d": 4.0}
    sets = [frozenset(s) for n in range(5) for s in combinations(own, n)]
    plain = {s: sum(own[f] for f in s) for s in sets}
    for fault, x in ledger.shapley(plain.get, own).items():
        assert solutions.main_effect(plain, fault) == pytest.approx(x) == pytest.approx(own[fault])
    together = plain | {frozenset("ab"): 5.0}
    assert solutions.main_effect(together, "a") == pytest.approx(2.5)  # 4 more in one of 8 pairs


def test_solution_4_luck_shrinks_as_the_settings_differ_more(solutions):
    none, some, much = (solutions.winners_excess(ratio) for ratio in (0, 1, 10))
    assert none == pytest.approx(2.16, abs=0.02)  # the expected maximum of 40 normal numbers
    assert none > some > much > 0


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_the_six_rows_stand_beside_what_was_published(profile):
    rows = [a for a in experiments.arms("04", profile) if a.table == "Six rows of CNN5"]
    assert {a.name: a.metrics["test_accuracy"] for a in rows} == {
        "teacher": None,
        "CNN5, dropout .5": 83.51,
        "CNN5, no dropout": 84.74,
        "CNN5 distilled, dropout .5": 84.49,
        "CNN5 distilled, no dropout": 85.69,
        "CNN5, 5 % of the labels": 65.86,
        "CNN5 distilled, 5 % of the labels": 66.71,
    }


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_distilled_and_hard_students_differ_in_the_teacher_alone(profile):
    arms = {a.name: a.recipe for a in experiments.arms("04", profile)}
    for hard, distilled in (
        ("CNN5, no dropout", "CNN5 distilled, no dropout"),
        ("CNN5, dropout .5", "CNN5 distilled, dropout .5"),
        ("CNN5, 5 % of the labels", "CNN5 distilled, 5 % of the labels"),
        ("CNN5, patient", "CNN5 distilled, patient"),
    ):
        a, b = arms[hard].as_dict(), arms[distilled].as_dict()
        differ = {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)}
        assert "teacher" in differ <= {"teacher", "temperature", "alpha", "n_views", "bits"}


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_the_anatomy_is_a_full_factorial_with_one_plain_arm_a_schedule(profile):
    arms = experiments.arms("04", profile)
    shares = [s for s in ex.SHARES if any(a.table.endswith(s) for a in arms)]
    assert shares
    for share in shares:
        table = [a.recipe for a in arms if a.table.startswith(f"Anatomy of a false gain, {share}")]
        cells = [(r.teacher_order, r.soft_scale, r.optimizer) for r in table if r.teacher]
        orders, scales = ("matched", "reshuffled"), (1.0, 0.1)
        assert set(cells) == {(o, c, s) for o in orders for c in scales for s in ("adam", "sgd")}
        assert sorted(r.optimizer for r in table if not r.teacher) == ["adam", "sgd"]
        budget = {(r.epochs, r.n_train, r.batch_size, r.views, r.n_views) for r in table}
        assert len(cells) == 8 and len(budget) == 1
    watched = {a.table.split(",")[0] for a in arms if a.recipe.watch_test}
    assert watched == {"Anatomy of a false gain", "Controls"}


def test_smoothing_controls_are_as_strong_as_the_mean_answer_of_others():
    a = ex.PUBLISHED_ALPHA
    strengths = {round(c * a / (c * a + 1 - a), 2) for c in ex.SCALES.values()}
    assert strengths == set(ex.SMOOTHINGS)


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_two_teachers_answer_for_all_images_and_differ_in_their_labels_alone(profile):
    arms = {a.name: a.recipe for a in experiments.arms("04", profile)}
    knowing = arms["5 % of the labels, the teacher answers for all images"]
    taught = arms["5 % of the labels, a teacher of the same 5 % answers for all images"]
    novice = arms["a teacher of the same 5 % of the labels"]
    a, b = knowing.as_dict(), taught.as_dict()
    assert {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)} == {"teacher"}
    assert taught.teacher == novice and taught.n_labels == novice.n_train
    assert taught.with_seed(3).teacher == novice.with_seed(3)  # one teacher a seed
    (full,) = knowing.teachers
    a, b = full.as_dict(), novice.as_dict()
    assert {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)} == {"n_train", "epochs"}


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_a_larger_teacher_stands_beside_the_first_where_that_is_another_network(profile):
    arms = {a.name: a.recipe for a in experiments.arms("04", profile)}
    names = ("teacher ResNet-18, few epochs", "CNN5 from that ResNet-18")
    assert [name in arms for name in names] == [profile != "paper"] * 2
    if profile != "paper":
        larger, student = (arms[name] for name in names)
        assert student.teachers == (larger,) and larger.model != arms["teacher"].model
        a, b = student.as_dict(), arms["CNN5 distilled, no dropout"].as_dict()
        assert {k for k in a.keys() | b.keys() if a.get(k) != b.get(k)} == {"teacher"}


def test_every_share_has_a_published_gain_to_stand_beside():
    assert ex.CLAIMED.keys() == ex.SHARES.keys()
    assert {(gain, tries) for gain, tries, _ in ex.CLAIMED.values()} == {(0.85, 45), (0.95, 40)}
