"""The store: whole files, two layers, checksums, locks."""

from dataclasses import replace

import pytest
import torch
from filelock import Timeout

from kdutils.store import DamagedRecord, Record, Store, read


@pytest.fixture
def record(tiny) -> Record:
    return Record(
        recipe=tiny, curve=[{"epoch": 1, "val_errors": 3}], metrics={"test_errors": 5},
        seconds=1.5, device="CPU (any)", threads=1, parameters=10, recorded="2026-01-31",
    )  # fmt: skip


def test_a_record_comes_back_as_it_was_put(store, record):
    assert store.get(record.recipe) is None
    store.put(record, {"test": torch.eye(3)}, {"w": torch.ones(2)})
    assert store.get(record.recipe) == record
    assert torch.equal(store.logits(record.recipe)["test"], torch.eye(3))
    assert torch.equal(store.weights(record.recipe)["w"], torch.ones(2))
    assert store.get(replace(record.recipe, seed=1)) is None


def test_publishing_copies_records_but_no_weights(store, record):
    store.put(record, {"test": torch.eye(3)}, {"w": torch.ones(2)})
    written = store.publish([record.recipe, replace(record.recipe, seed=1)], keep_logits=True)
    assert sorted(path.suffixes[-1] for path in written) == [".json", ".safetensors"]
    elsewhere = Store(store.local / "new", store.published)
    assert elsewhere.get(record.recipe) == record
    assert elsewhere.weights(record.recipe) is None
    assert elsewhere.logits(record.recipe) is not None


def test_the_local_layer_lies_over_the_published_one(store, record):
    store.put(record)
    store.publish([record.recipe])
    store.put(replace(record, seconds=9.0))
    assert store.get(record.recipe).seconds == 9.0
    assert len(store.all()) == 1


@pytest.mark.parametrize("damage", ["cut", "edit", "empty"])
def test_a_damaged_record_is_an_error_that_says_what_to_do(store, record, damage):
    store.put(record)
    path = store.local / f"{record.id}.json"
    text = path.read_text()
    edits = {"cut": text[:-20], "edit": text.replace('"test_errors": 5', '"test_errors": 4')}
    path.write_text(edits.get(damage, ""))
    with pytest.raises(DamagedRecord, match="delete it"):
        store.get(record.recipe)


def test_a_recipe_that_is_being_trained_is_locked_for_others(store, tiny):
    other = Store(store.local, store.published)
    with store.lock(tiny), pytest.raises(Timeout), other.lock(tiny, timeout=0):
        pass
    with other.lock(tiny, timeout=0):
        assert other.lock(tiny) is not store.lock(tiny)


def test_every_committed_record_is_sound_and_of_a_known_recipe():
    published = Store().published
    paths = sorted(published.glob("*.json"))
    for path in paths:
        record = read(path)
        assert path.stem == record.id
        assert record.failure or len(record.curve) == record.recipe.epochs
