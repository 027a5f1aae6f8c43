"""Chapter 03: the published tables, one budget for Hinton's students, the ladder, its solutions."""

import pytest
import torch
import torch.nn.functional as F
from conftest import differ, load_solutions

from kdutils import data, experiments, losses

PUBLISHED = {  # the poster's MNIST table, typed in from it
    "teacher 1200, lr 0.01": 98.30, "student 800, lr 0.01": 98.10,
    "student 800, lr 0.1": 97.75, "student 800 + KD, lr 0.01": 98.18,
    "student 800 + KD, lr 0.1": 98.50, "student 800 + KD, unlabelled, lr 0.01": 97.69,
    "student 800 + KD, unlabelled, lr 0.1": 98.16, "teacher 1200, lr 0.1": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def solutions(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDUTILS_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield load_solutions("03_distilling_mlps")


@pytest.fixture(scope="module")
def arms() -> dict:
    return {arm.name: arm for arm in experiments.arms("03", "laptop")}


@pytest.mark.parametrize("how", ("as published", "done right"))
def test_every_cell_of_the_posters_table_is_there(arms, how):
    for cell, value in PUBLISHED.items():
        arm = arms[f"{cell} ({how})"]
        assert arm.metrics["test_accuracy"] == value
        assert arm.recipe.train_on == ("all" if how == "as published" else "train")
        if how == "done right":
            assert arm.recipe.soft_scale == 1


def test_the_posters_loss_is_kldivloss_with_its_default(arms):
    """Its code: KLDivLoss() T T 2 alpha + (1 - alpha) CE; without labels KLDivLoss() T T."""
    generator = torch.Generator().manual_seed(0)
    z, t = torch.randn(2, 64, 10, generator=generator)
    y = torch.arange(64) % 10
    for cell in ("student 800 + KD", "student 800 + KD, unlabelled"):
        r = arms[f"{cell}, lr 0.01 (as published)"].recipe
        kl = F.kl_div(
            (z / r.temperature).log_softmax(1), (t / r.temperature).softmax(1), reduction="none"
        )
        if "unlabelled" in cell:
            theirs = kl.mean() * r.temperature**2
        else:
            theirs = kl.mean() * r.temperature**2 * 2 * 0.7 + 0.3 * F.cross_entropy(z, y)
        ours = losses.kd_loss(z, t, y, r.temperature, r.alpha, r.soft_scale)
        assert torch.allclose(ours, theirs)


def test_each_rung_of_the_ladder_changes_what_the_chapter_says(arms):
    free = "student 800 + KD, unlabelled, lr"
    names = [
        f"{free} 0.01 (as published)",
        f"{free} 0.1 (as published)",
        experiments.chapter("03").SCALED,
        f"{free} 0.01 (done right)",
    ]
    rungs = [arms[name].recipe.as_dict() for name in names]
    changed = [
        {k for k in first | second if first.get(k) != second.get(k)}
        for first, second in zip(rungs, rungs[1:], strict=False)
    ]
    assert changed == [{"lr"}, {"lr", "soft_scale"}, {"teacher", "train_on"}]


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_students_without_labels_differ_in_what_they_are_shown_alone(profile):
    ex = experiments.chapter("03")
    arms = {arm.name: arm.recipe for arm in experiments.arms("03", profile)}
    digits, *others = (arms[f"{ex.OTHERS}, {name}"] for name in ex.TRANSFER_SETS)
    for other in others:
        assert differ(digits, other) == {"dataset"}
        assert other.alpha == 1 and other.teachers[0].dataset == digits.dataset != other.dataset


def test_strangers_hold_no_digit_and_are_judged_on_digits():
    digits, scenes = data.load("digits"), data.load("bayes10-toy")
    for kind in ("photographs", "shuffled"):
        found = data.load(f"digits-{kind}")
        for part in ("val", "test"):
            assert torch.equal(getattr(found, part).images, getattr(digits, part).images)
            assert torch.equal(getattr(found, part).labels, getattr(digits, part).labels)
        assert (found.mean, found.std) == (digits.mean, digits.std)
        assert found.train.labels.unique().tolist() == [0]  # nothing to learn from
    pixel = scenes.train.images[5, :, 2 + 7, 2 + 11].float().mean().round()  # the cut begins at 2
    grey = data.load("digits-photographs").train.images
    assert grey[5, 0, 7, 11] == pixel and len(grey) == len(scenes.train)
    mixed, own = data.load("digits-shuffled").train.images, digits.train.images
    assert torch.equal(mixed.flatten(1).sort(1).values, own.flatten(1).sort(1).values)
    correlation = torch.corrcoef(torch.stack([mixed.flatten(), own.flatten()]).float())[0, 1]
    assert correlation < 0.1 and not torch.equal(mixed[0], mixed[1])


def test_all_students_of_hintons_experiment_have_one_budget(arms):
    students = [
        arm.recipe for arm in arms.values()
        if arm.table == "Hinton's experiment" and arm.name.startswith("student")
    ]  # fmt: skip
    budgets = {
        (r.model, r.epochs, r.batch_size, r.lr, r.schedule, r.optimizer, r.train_on)
        for r in students
    }
    assert len(students) > 8 and len(budgets) == 1


def test_the_solutions_hold(solutions):
    """Their own checks ran on import; these are the answers."""
    assert solutions.real == pytest.approx(1 / 1001)  # .0005 / (.0005 + .5)
    assert solutions.rate == pytest.approx(0.5005)
    assert len(solutions.members) == 2 and solutions.bias == solutions.bias  # a number, not NaN
    pairs = {record.recipe.without_classes for record in solutions.both["record"]}
    assert pairs == {(3, 8), (0, 3)}
