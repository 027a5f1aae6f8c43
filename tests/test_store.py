"""The store: whole files, two layers, checksums, locks."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from filelock import Timeout

from kdutils.commands.backlog import publish_records
from kdutils.store import Damaged, Record, Store, read, write


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


def test_publishing_copies_records_and_no_weights_unless_asked(store, record):
    store.put(record, {"test": torch.eye(3)}, {"w": torch.ones(2)})
    written = publish_records(
        [record.recipe, replace(record.recipe, seed=1)], store, keep={"logits"}
    )
    assert sorted(path.suffixes[-1] for path in written) == [".json", ".safetensors"]
    elsewhere = Store(store.local / "new", store.published)
    assert elsewhere.get(record.recipe) == record
    assert elsewhere.weights(record.recipe) is None
    assert torch.equal(elsewhere.logits(record.recipe)["test"], torch.eye(3))
    assert publish_records([record.recipe], store, keep={"logits"}) == []  # all of it is there
    assert len(publish_records([record.recipe], store, keep={"logits", "weights"})) == 2
    assert torch.equal(elsewhere.weights(record.recipe)["w"], torch.ones(2))
    assert torch.equal(elsewhere.logits(record.recipe)["test"], torch.eye(3))


def without_checksums(store, record):
    """The record's file as it was written before records vouched for their files."""
    bare = Store(store.local / "bare")
    bare.put(record)
    path = store.local / f"{record.id}.json"
    path.write_bytes((bare.local / path.name).read_bytes())
    assert "files" not in json.loads(path.read_text())


def test_an_old_record_without_checksums_is_read_and_gets_them_when_published(store, record):
    store.put(record, {"test": torch.eye(3)}, {"w": torch.ones(2)})
    without_checksums(store, record)
    assert store.get(record.recipe) == record
    assert torch.equal(store.weights(record.recipe)["w"], torch.ones(2))
    json_file, logits = sorted(publish_records([record.recipe], store, keep={"logits"}))
    assert list(json.loads(json_file.read_text())["files"]) == ["logits"]
    logits.write_bytes(logits.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match=logits.name):
        Store(store.local / "new", store.published).logits(record.recipe)


def test_logits_join_a_committed_record_only_where_they_are_its_own(store, record):
    store.put(record, {"test": torch.eye(3)})
    publish_records([record.recipe], store)
    store.put(replace(record, seconds=9.0), {"test": torch.zeros(3, 3)})  # another run of it
    assert publish_records([record.recipe], store, keep={"logits"}) == []
    store.put(record, {"test": torch.eye(3)})
    assert len(publish_records([record.recipe], store, keep={"logits"})) == 2
    assert read(store.published / f"{record.id}.json") == record


def test_the_local_layer_lies_over_the_published_one(store, record):
    store.put(record)
    publish_records([record.recipe], store)
    store.put(replace(record, seconds=9.0))
    assert store.get(record.recipe).seconds == 9.0
    assert len(store.all()) == 1


@pytest.mark.parametrize("damage", ["cut", "edit", "empty", "space", "files"])
def test_a_damaged_record_is_an_error_that_says_what_to_do(store, record, damage):
    store.put(record, {"test": torch.eye(3)})
    path = store.local / f"{record.id}.json"
    text = path.read_text()
    edits = {
        "cut": text[:-1],
        "edit": text.replace('"test_errors": 5', '"test_errors": 4'),
        "space": text.replace(": 5", ":  5"),
        "files": text.replace('"files"', '"filse"'),
    }
    path.write_text(edits.get(damage, ""))
    with pytest.raises(Damaged, match="delete it") as error:
        store.get(record.recipe)
    assert path.name in str(error.value) and str(path.parent) in str(error.value)


@pytest.mark.parametrize("kind", ["logits", "weights"])
def test_damaged_tensors_are_named_and_never_used(store, record, kind):
    store.put(record, {"test": torch.eye(3)}, {"w": torch.ones(2)})
    path = store.local / f"{record.id}.{kind}.safetensors"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for broken in (bytes(flipped), whole[:-4], b""):
        path.write_bytes(broken)
        with pytest.raises(Damaged, match=f"{path.name}.*delete it"):
            getattr(store, kind)(record.recipe)
    path.with_name(f"{record.id}.json").unlink()  # nobody vouches for them any longer
    assert getattr(store, kind)(record.recipe) is None


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "file"
    assert write(path, b"first") == hashlib.sha256(b"first").hexdigest()
    with pytest.raises(TypeError):
        write(path, "not bytes")  # fails when its file is open already
    assert path.read_bytes() == b"first"
    assert list(path.parent.iterdir()) == [path]


def test_a_recipe_that_is_being_trained_is_locked_for_others(store, tiny):
    other = Store(store.local, store.published)
    with store.lock(tiny.id), pytest.raises(Timeout), other.lock(tiny.id, timeout=0):
        pass
    with other.lock(tiny.id, timeout=0), other.lock("something else", timeout=0):
        assert list(store.local.glob(".*.lock"))
    assert list(store.local.iterdir()) == []


IN_TURN = """
import os, signal, sys, time
from pathlib import Path
from kdutils.store import Store
store = Store(Path(sys.argv[1]))
inside = store.local / "inside"
children = []
for number in range(5):
    if (child := os.fork()) == 0:
        for _ in range(30):
            with store.lock("one"):
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails where another is inside
                time.sleep(0.001)
                inside.unlink()
        os._exit(0)
    children.append(child)
failed = [os.waitpid(child, 0)[1] for child in children]
if (killed := os.fork()) == 0:
    with store.lock("two"):
        os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(killed, 0)
left = [path.name for path in store.local.iterdir()]
with store.lock("three"):
    pass
print(failed, left, list(store.local.iterdir()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes")
def test_processes_enter_one_by_one_and_no_lock_file_is_left_not_even_by_a_killed_one(tmp_path):
    command = [sys.executable, "-c", IN_TURN, str(tmp_path / "runs")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[0, 0, 0, 0, 0] ['.two.lock'] []"


def test_every_committed_record_is_sound_and_of_a_known_recipe():
    published = Store().published
    paths = sorted(published.glob("*.json"))
    assert len(paths) >= 250
    for path in paths:
        record = read(path)
        assert path.stem == record.id
        assert record.failure or len(record.curve) == record.recipe.epochs


def test_every_committed_file_of_logits_is_vouched_for(tmp_path):
    committed = Store(tmp_path)
    paths = sorted(committed.published.glob("*.logits.safetensors"))
    assert len(paths) >= 29
    for path in paths:
        saved = path.with_name(path.name.replace(".logits.safetensors", ".json"))
        assert list(json.loads(saved.read_text())["files"]) in (["logits"], ["logits", "weights"])
        assert committed.logits(read(saved).recipe)["test"].ndim == 2
