"""Recipes are checked, hashed and written back without loss."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from kdutils import data, losses, models
from kdutils.recipes import MAX_SEED, MAX_STREAM, STORED_VIEWS_SEED, Recipe


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
        ("dropout", (0.5, 1.5)), ("teacher", "oracle"),
        ("seed", 10_000), ("view_stream", 98), ("lr", float("inf")), ("soft_scale", 0),
        ("n_labels", 10), ("loss", "mine"), ("loss", "pseudo-labels"), ("n_train", True),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_value(field, value):
    with pytest.raises(ValueError) as error:
        base(**{field: value})
    assert field in str(error.value) and str(value) in str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight_decay": -0.1}, "weight_decay = -0.1 must be a finite number of at least 0."),
        ({"lr": 0}, "lr = 0 must be a finite number above 0."),
        ({"momentum": 1}, "momentum = 1 must be a number in [0, 1)."),
        ({"seed": 10_000}, "seed = 10000 must be a whole number, 0 to 9999."),
        ({"n_train": 0}, "n_train = 0 must be None or whole, above 0."),
        ({"bits": 4}, "bits = 4 must be one of [16, 8]."),
    ],
)
def test_an_error_says_what_is_allowed(changes, words):
    with pytest.raises(ValueError) as error:
        base(**changes)
    assert str(error.value) == words


def test_the_ends_of_what_is_allowed_are_allowed():
    ends = {"weight_decay": 0, "momentum": 0, "label_smoothing": 0, "seed": 9_999, "n_train": 1}
    assert base(**ends, view_stream=97, alpha=0).view_seed == 979_999


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


def test_a_number_written_otherwise_is_the_same_run():
    taught = {"teacher": base(), "temperature": 4.0, "alpha": 1.0, "dropout": (0.0, 0.5)}
    plain = base(**taught, seed=3, epochs=2)
    taught |= {"temperature": 4, "alpha": np.int64(1), "dropout": (0, np.float64(0.5))}
    other = base(**taught, seed=np.int64(3), epochs=np.int32(2))
    assert other == plain and other.id == plain.id


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


def test_every_recorded_id_is_still_that_of_its_recipe():
    """The file's name holds the id that the recipe had when the record was made."""
    paths = sorted((data.ROOT / "data" / "records").glob("*.json"))
    assert len(paths) >= 250
    for path in paths:
        recipe = Recipe.from_dict(json.loads(path.read_text())["record"]["recipe"])
        assert path.stem == recipe.id


def test_the_seed_of_stored_views_is_no_runs_seed_of_views():
    last = base(seed=MAX_SEED, view_stream=MAX_STREAM)
    assert last.view_seed < base(n_views=8).view_seed == STORED_VIEWS_SEED


class Net(torch.nn.Flatten):
    def forward(self, x):
        return super().forward(x)[:, :10]


def loss(z, t, y, recipe):
    return z.sum()


def other(z, t, y, recipe):
    return 2 * z.sum()


def test_a_registered_name_puts_its_source_into_the_id(clean_registries):
    plain = base()
    models.register("net", Net)
    losses.register("mine", loss)
    recipe = base(model="net", loss="mine", teacher=base(model="net"))
    sources = {name: reg.source(name) for name, reg in REGISTRIES.items()}
    assert recipe.registered == (
        ("model", "net", sources["net"]), ("loss", "mine", sources["mine"])
    )  # fmt: skip
    assert recipe.recognisable and "mine-T1" in recipe.label
    assert "registered" not in plain.as_dict() and base().id == plain.id
    assert recipe.as_dict()["teacher"]["registered"] == [["model", "net", sources["net"]]]
    before = recipe.id
    losses.register("mine", other, replace=True)
    assert replace(recipe).id != before  # a changed loss is a new recipe
    assert replace(recipe, loss="kd").registered == (("model", "net", sources["net"]),)
    assert replace(recipe, model="mlp-8", loss="kd", teacher=None).id == base(model="mlp-8").id


REGISTRIES = {"net": models.REGISTERED, "mine": losses.REGISTERED}


def test_a_record_of_what_another_reader_registered_is_read_as_it_is(clean_registries):
    models.register("net", Net)
    losses.register("mine", loss)
    recipe = base(model="net", loss="mine", teacher=base(model="net", seed=1))
    saved, name = json.loads(json.dumps(recipe.as_dict())), recipe.id
    models.REGISTERED.things.clear()  # another process
    losses.REGISTERED.things.clear()
    again = Recipe.from_dict(saved)
    assert again == recipe and again.id == name
    assert again.with_seed(3).with_seed(0).model == "net"
    with pytest.raises(ValueError, match="model = 'nett'"):
        replace(again, model="nett")
    with pytest.raises(ValueError, match="model = 'net'"):
        base(model="net")

    class Net2(torch.nn.Flatten):
        def forward(self, x):
            return x[:, :9]

    models.register("net", Net2)  # this reader's own of that name is another recipe
    assert Recipe.from_dict(saved).id != name


def test_a_recipe_with_an_unknown_source_says_so(clean_registries):
    typed = {}
    exec("def loss(z, t, y, recipe): return z.sum()", typed)
    losses.register("typed", typed["loss"])
    recipe = base(loss="typed")
    assert not recipe.recognisable and base(teacher=base()).recognisable
    assert not base(teacher=recipe).recognisable and replace(recipe).id == recipe.id
