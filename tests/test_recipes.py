"""Recipes are checked, hashed and written back without loss."""

from dataclasses import replace

import pytest

from kdutils import course, profiles
from kdutils.recipes import Recipe


def base(**changes) -> Recipe:
    fields = {"dataset": "digits", "model": "mlp-8-8", "epochs": 1, "batch_size": 10, "lr": 0.1}
    return Recipe(**(fields | changes))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dataset", "imagenet"), ("model", "vgg"), ("views", "blur"), ("optimizer", "lion"),
        ("schedule", "linear"), ("precision", "int8"), ("train_on", "test"),
        ("teacher_order", "reversed"), ("epochs", 0), ("epochs", 1.5), ("epochs", "3"),
        ("batch_size", 0), ("seed", -1), ("seed", True), ("n_train", 0), ("lr", 0), ("lr", -1.0),
        ("lr", float("nan")), ("weight_decay", -0.1), ("momentum", 1.0), ("label_smoothing", 1.0),
        ("temperature", 0), ("temperature", -3), ("alpha", 1.01), ("alpha", -0.5),
        ("dropout", (0.5, 1.5)), ("teacher", "posterior"), ("teacher", "oracle"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_value(field, value):
    with pytest.raises(ValueError) as error:
        base(**{field: value})
    assert field in str(error.value) and str(value) in str(error.value)


def test_the_id_names_the_run_and_changes_with_every_field():
    teacher = base(model="mlp-16", seed=3)
    recipe = base(teacher=teacher, temperature=4.0, alpha=0.9)
    assert recipe.id.startswith("digits-mlp-8-8-none-kd-T4-a0.9-s0-")
    others = [
        replace(recipe, lr=0.2), replace(recipe, seed=1), replace(recipe, soft_scale=0.1),
        replace(recipe, teacher=replace(teacher, seed=4)), replace(recipe, view_stream=1),
        replace(recipe, teacher=(teacher, replace(teacher, seed=4))),
    ]  # fmt: skip
    assert len({r.id for r in [recipe, *others]}) == 7


def test_a_recipe_is_the_same_after_writing_and_reading():
    teacher = base(model="mlp-16", dropout=(0.1, 0.2))
    for recipe in (
        teacher,
        base(teacher=teacher, without_classes=(3,), n_train=50),
        base(teacher=(teacher, replace(teacher, seed=1))),
        base(dataset="bayes10", teacher="posterior"),
    ):
        again = Recipe.from_dict(recipe.as_dict())
        assert again == recipe and again.id == recipe.id


def test_an_id_that_was_published_does_not_move():
    """Ids name committed files: a change here would orphan every record."""
    recipe = base(teacher=base(model="mlp-16"), temperature=4.0)
    assert recipe.id == "digits-mlp-8-8-none-kd-T4-a1-s0-4368feb12a"


def test_one_teacher_follows_the_seed_and_an_ensemble_does_not():
    teacher = base(model="mlp-16")
    assert base(teacher=teacher).with_seed(5).teacher.seed == 5
    both = (teacher, replace(teacher, seed=1))
    assert base(teacher=both).with_seed(5).teacher == both


@pytest.mark.parametrize("profile", profiles.PROFILES)
@pytest.mark.parametrize("notebook", course.NOTEBOOKS)
def test_every_arm_of_the_course_is_a_valid_recipe_of_its_own(notebook, profile):
    arms = course.arms(notebook, profile)
    assert arms
    names = [(arm.table, arm.name) for arm in arms]
    assert len(set(names)) == len(names)
    assert len({(arm.table, arm.recipe.id) for arm in arms}) == len(arms)
    real = profiles.get(profile).datasets.values()
    assert {arm.recipe.dataset for arm in arms} <= set(real)


def test_smoke_never_names_a_real_data_set():
    used = {arm.recipe.dataset for n in course.NOTEBOOKS for arm in course.arms(n, "smoke")}
    assert used <= {"digits", "bayes10"}


@pytest.mark.parametrize("seeds", ["012", [0.5], [True], [], [1, 1], [-1], 3, [None]])
def test_seeds_must_be_distinct_whole_numbers(seeds):
    with pytest.raises(ValueError, match="SEEDS"):
        profiles.setup("smoke", seeds)


@pytest.mark.parametrize("profile", ["Laptop", "", None, 3])
def test_an_unknown_profile_is_refused_with_those_that_exist(profile):
    with pytest.raises(ValueError, match="'smoke'.*'laptop'.*'paper'"):
        profiles.get(profile)


@pytest.mark.parametrize("notebook", [0, 99, "x", None, "1.5"])
def test_an_unknown_notebook_is_refused(notebook):
    with pytest.raises(ValueError, match="01 .*02 .*03"):
        course.check_notebook(notebook)
