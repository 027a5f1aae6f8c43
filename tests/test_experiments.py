"""`Lab`: what a chapter's two lines of set-up check, train, show and refuse."""

import matplotlib.pyplot as plt
import pytest
from conftest import put

from kdutils import experiments
from kdutils.commands import results
from kdutils.experiments import Lab
from kdutils.recipes import Recipe

CELL = "101.0 ± 2.5 (n = 3)".replace(" ", "\xa0")  # no narrow page may break it


@pytest.fixture
def lab(store):
    """Chapter 03 at laptop, with two arms recorded at seeds 0 to 2."""
    for arm in experiments.arms("03", "laptop"):
        if arm.name in ("student, hard labels, views", "student, hard labels, still images"):
            for seed in (0, 1, 2):
                put(store, arm.recipe.with_seed(seed), 100 + seed, 50)
    return Lab("03", "laptop", store=store)


def test_chapters_are_found_by_their_files_and_by_any_form_of_their_number():
    assert list(experiments.chapters())[:8] == [f"{n:02}" for n in range(8)]
    assert experiments.chapter(3) is experiments.chapter("3") is experiments.chapter("03")
    with pytest.raises(ValueError, match="'99' does not exist.*03 \\(Distilling MLPs"):
        experiments.chapter("99")


@pytest.mark.parametrize("profile", experiments.PROFILES)
@pytest.mark.parametrize("number", experiments.chapters())
def test_every_arm_has_one_name_and_a_recipe_with_an_id(number, profile):
    arms = experiments.arms(number, profile)
    assert len({arm.name for arm in arms}) == len(arms)
    for arm in arms:
        assert Recipe.from_dict(arm.recipe.as_dict()).id == arm.recipe.id
        assert arm.metrics


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("03", "full"), "'full' is not a profile"),
        (("03", "smoke", "0,1"), "distinct whole numbers"),
        (("03", "smoke", []), "SEEDS = \\[\\]: give a list of distinct"),
        (("03", "smoke", [0, 0]), "distinct"),
        (("03", "smoke", [-1]), "from 0 to 9999"),
        (("03", "smoke", [0], "yes"), "TRAIN = 'yes' must be True or False"),
        (("3x", "smoke"), "does not exist"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(arguments, message, store):
    with pytest.raises(ValueError, match=message):
        Lab(*arguments, store=store)


def test_smoke_runs_never_stand_among_recorded_results(store):
    arm = experiments.arms("03", "smoke")[0]
    put(store, arm.recipe, 5, 5)
    assert [r for r in results.rows("03", store) if r["n"]] == []


def test_a_table_holds_published_recorded_and_this_run(lab, store):
    frame = lab.table(["student, hard labels, still images"], "test_errors")
    assert list(frame.columns) == ["published", "recorded"]  # this run is the recorded one
    assert frame.iloc[0].tolist() == ["146", CELL]
    other = Lab("03", "laptop", [1], store=store)
    frame = other.table(["student, hard labels, still images"], "test_errors")
    assert frame["this run (mnist, laptop)"].item() == "101.0\xa0(n\xa0=\xa01)"
    assert frame["recorded"].item() == CELL


def test_arms_and_seeds_without_records_are_named(lab, store):
    lacking = lab.missing()
    assert lacking["student, hard labels, views"] == [3, 4]
    assert lacking["teacher 784-1200-1200-10"] == [0, 1, 2, 3, 4]
    seven = Lab("03", "laptop", [0, 7], store=store)
    assert seven.missing()["student, hard labels, views"] == [7]
    shown = seven._repr_markdown_()
    assert "views: seed 7<" in shown and ": seed 0, 7<" in shown and "TRAIN = True" in shown


def test_an_arm_without_records_is_said_to_have_none_and_never_a_number(lab):
    name = "student, distilled, views, T = 4"
    assert lab.cell(name, "test_errors") == "not recorded" and lab.values(name, "test_errors") == []
    assert lab.mean(name, "test_errors") != lab.mean(name, "test_errors")  # NaN
    with pytest.raises(LookupError, match="TRAIN = True"):
        lab.logits(name)
    with pytest.raises(ValueError, match="no arm is named 'x'. There are: teacher 784"):
        lab.cell("x", "test_errors")
    with pytest.raises(LookupError, match="'x' selects among.*TRAIN = True"):
        lab.best("x")


def test_a_figure_says_how_many_runs_trained(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("KDUTILS_FIGURES", str(tmp_path))
    name, other = "student, hard labels, views", "student, hard labels, still images"
    put(lab.store, lab.arms[name].recipe.with_seed(2), 0, 0, failure="the loss is nan in epoch 1")
    fig = plt.figure()
    Lab("03", "laptop", store=lab.store).show(
        fig, "any", "An empty figure, to be counted.", [name, other]
    )
    assert "n = 2 to 3 seeds" in fig.get_supxlabel()


def test_recipes_show_only_the_fields_in_which_arms_differ(lab):
    names = ("student, hard labels, still images", "student, hard labels, views")
    frame = lab.recipes(*names)
    assert frame.index.tolist() == ["views"]
    assert frame.loc["views"].tolist() == ["–", "elastic"]
    assert "model" in lab.recipes(names[0]).index


def test_an_arm_that_runs_once_is_trained_once_whatever_the_seeds(store):
    arms = {arm.name: arm for arm in experiments.arms("04", "laptop")}
    assert [r.seed for r in arms["teacher"].recipes([3, 4, 5])] == [0]
    assert [r.seed for r in arms["CNN5, no dropout"].recipes([3, 4, 5])] == [3, 4, 5]


def test_smoke_says_loudly_that_its_numbers_are_none(store, monkeypatch):
    monkeypatch.setattr(experiments.runs, "run_all", lambda *_, **__: None)  # no training needed
    assert Lab("03", "smoke", store=store)._repr_markdown_().startswith("**Toy data.**")


def test_your_own_recipe_is_trained_and_stands_among_the_arms(tiny, store, monkeypatch):
    monkeypatch.setattr(experiments, "arms", lambda number, profile: [])
    lab = Lab("01", "smoke", [0, 1], store=store)
    new = lab.train({"mine": tiny})
    assert new["seed"].tolist() == [0, 1] and lab.values("mine", "test_accuracy") != []
    assert lab.table(["mine"]).iloc[0, -1].endswith("(n\xa0=\xa02)")
    assert lab.logits("mine", seed=1).shape == (500, 10)
