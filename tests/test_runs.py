"""Recipes in, records out: one run, a batch, what is said beforehand and shown meanwhile."""

import io
import re
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from conftest import put
from jupyter_client.manager import start_new_kernel

from kdutils import models, runs, store
from kdutils.runs import run, run_all, trained
from kdutils.store import Store
from kdutils.training import Interrupted


@pytest.fixture
def student(tiny):
    teacher = replace(tiny, model="mlp-64-64", epochs=6, views="jitter", view_stream=1)
    return replace(tiny, teacher=teacher, temperature=4.0, views="jitter")


def test_run_all_says_beforehand_what_it_will_train(tiny, store, capsys):
    run_all([tiny], store)
    said = capsys.readouterr().out
    assert said == "1 of 1 runs are not in the store: 1 of networks that no run is recorded of.\n"
    both = tiny, replace(tiny, model="mlp-8")
    run_all([recipe.with_seed(seed) for recipe in both for seed in (0, 1)], store)
    said = capsys.readouterr().out
    assert "3 of 4 runs" in said and "about 1 s, and 2 of networks that no run" in said
    run_all([tiny, tiny.with_seed(1)], store)
    assert capsys.readouterr().out == ""


def test_the_time_of_a_batch_follows_images_and_epochs(tiny, store, capsys):
    for seed, seconds in enumerate((10.0, 12.0, 500.0)):  # one run had been held up
        record = run(tiny, store)
        store.put(replace(record, recipe=tiny.with_seed(seed), seconds=seconds))
    longer = replace(tiny, n_train=600, epochs=8)
    costs = runs.costs([tiny, longer, replace(tiny, model="mlp-8")], store)
    assert costs == pytest.approx({tiny: 12.0, longer: 48.0})
    capsys.readouterr()
    for many, said in ((1, "about 48 s."), (4, "about 3 min.")):
        runs.plan([longer.with_seed(n) for n in range(many)], store)
        assert said in capsys.readouterr().out


def test_an_estimate_reads_every_record_once(tiny, monkeypatch, tmp_path):
    kept = Store(tmp_path / "runs", tmp_path / "records")
    for seed in range(5):
        put(kept, tiny.with_seed(seed), 50, 50)
    read, real = [], store.read
    monkeypatch.setattr(store, "read", lambda path: read.append(path.name) or real(path))
    runs.costs([tiny], kept)
    assert len(read) == len(set(read)) == 5


def test_teachers_that_will_be_asked_are_counted_and_trained_first(student, store, capsys):
    run_all([student, student.with_seed(1)], store)
    assert "2 of 2 runs are not in the store, and 2 of their teachers" in capsys.readouterr().out
    assert store.get(student.teacher) is not None
    hotter = replace(student, temperature=8.0)
    run_all([hotter], store)
    assert "1 of 1 runs are not in the store: about" in capsys.readouterr().out


def test_a_teacher_whose_answers_are_stored_is_not_trained_again(student, store):
    stored = replace(student, n_views=2)
    run(stored, store)
    (store.local / f"{stored.teacher.id}.weights.safetensors").unlink()
    run_all([replace(stored, temperature=2.0)], store)
    assert store.weights(stored.teacher) is None


def test_a_network_is_trained_again_where_only_its_record_is_kept(tiny, store):
    record = run(tiny, store)
    Store(store.published).put(record)
    elsewhere = Store(store.local / "new", store.published)
    net, again = trained(tiny, store), trained(tiny, elsewhere)
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert elsewhere.get(tiny).metrics == record.metrics
    wild = replace(tiny, optimizer="sgd", lr=1e6, schedule="constant")
    with pytest.raises(ValueError, match="has no network to load: .*Lower lr"):
        trained(wild, store)


def test_what_another_process_trains_is_passed_over_and_the_rest_done_meanwhile(student, store):
    """The other process is a thread here: locks are between open files, not between processes."""
    teacher, free = student.teacher, student.teacher.with_seed(7)
    held, seen = threading.Event(), []

    def other():
        with store.lock(teacher.id):
            held.set()
            until = time.time() + 20
            while store.get(free) is None and time.time() < until:
                time.sleep(0.01)
            seen.append(store.get(student))
        run(teacher, store)

    thread = threading.Thread(target=other)
    thread.start()
    assert held.wait(10)
    records = run_all([student, free], store)
    thread.join()
    assert [record.recipe for record in records] == [student, free]
    assert seen == [None] and store.get(teacher) is not None


def test_a_failed_run_of_another_process_is_not_tried_again(tiny, store, monkeypatch):
    wild = replace(tiny, optimizer="sgd", lr=1e6, schedule="constant")
    todo = runs.plan([wild], store)
    failed = run(wild, store)  # between another's plan and its turn
    monkeypatch.setattr(runs, "plan", lambda *_: todo)
    [again] = run_all([wild], store)
    assert failed.failure and again == failed


def test_no_run_begins_after_the_minutes_are_over(tiny, store, capsys, monkeypatch):
    clock = iter([0.0, 1.0, 59.0, 61.0, 62.0])
    monkeypatch.setattr(runs, "time", SimpleNamespace(time=lambda: next(clock)))
    records = run_all(map(tiny.with_seed, range(4)), store, minutes=1)
    assert [record.recipe.seed for record in records] == [0, 1]
    assert "Stopped after 1 min: 2 runs are missing" in capsys.readouterr().out


def test_a_record_of_something_typed_at_a_prompt_says_that_nobody_will_know_it(
    tiny, store, monkeypatch
):
    monkeypatch.setattr(models.REGISTERED, "things", {})
    typed = {}
    exec(
        "from torch import nn\n"
        "def net(): return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10))",
        typed,
    )
    models.register("typed", typed["net"])
    record = run(replace(tiny, model="typed"), store)
    assert record.metrics and "typed at a prompt" in record.note
    assert store.get(record.recipe) == record


def line_of(record):
    """What is said, outside a notebook, of a run that has been trained."""
    accuracy = record.metrics["val_accuracy"]
    return f"{record.id}: {accuracy:.2f} % on validation, {record.seconds:.0f} s"


class Screen(io.StringIO):
    """A terminal that keeps what was written to it."""

    def isatty(self) -> bool:
        return True


def test_one_bar_counts_runs_and_epochs_and_leaves_only_what_was_trained(tiny, store, monkeypatch):
    monkeypatch.setattr("sys.stderr", screen := Screen())
    monkeypatch.setenv("TQDM_DISABLE", "0")
    monkeypatch.setattr(runs, "SHOWN_SECONDS", 0)
    records = run_all(map(tiny.with_seed, range(3)), store)
    *said, last = screen.getvalue().split("\n")
    assert [line.split("\r")[-1] for line in said] == [line_of(record) for record in records]
    lines = last.split("\r")
    shown = [part for line in said for part in line.split("\r")[:-1]] + lines
    for number in (1, 2, 3):
        for epoch in (1, 2, 3, 4):
            wanted = f"run {number} of 3 · {tiny.with_seed(number - 1).label} · epoch {epoch}/4"
            assert any(wanted in line for line in shown)
    assert " left" in lines[-3] and lines[-2].strip() == lines[-1] == ""
    percent = [int(line.split("%")[0]) for line in shown if "%" in line]
    assert percent == sorted(percent)


def test_a_single_epoch_moves_the_bar(tiny, store, monkeypatch):
    monkeypatch.setattr("sys.stderr", screen := Screen())
    monkeypatch.setenv("TQDM_DISABLE", "0")
    monkeypatch.setattr(runs, "SHOWN_SECONDS", 0)
    run_all([replace(tiny, epochs=1)], store)
    percent = {line.split("%")[0].strip() for line in screen.getvalue().split("\r")}
    assert {"0", "17", "33", "50", "67", "83"} <= percent


@pytest.mark.parametrize("hidden", ["env", "no terminal"])
def test_there_is_no_bar_where_nobody_looks(hidden, tiny, store, monkeypatch):
    screen = io.StringIO() if hidden == "no terminal" else Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TQDM_DISABLE", "1" if hidden == "env" else "0")
    [record] = run_all([tiny], store)
    assert screen.getvalue() == line_of(record) + "\n"


def test_stopped_between_epochs_ends_in_one_line(tiny, store, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs.metrics, "measure", stop)
    with pytest.raises(Interrupted, match="^Stopped; what is done is kept: run the cell again"):
        run_all([tiny], store)


CELL = """
import os, torch; torch.set_num_threads(1)
from pathlib import Path
from kdutils.recipes import Recipe
from kdutils.runs import run_all
from kdutils.store import Store
os.environ["TQDM_DISABLE"] = {hidden!r}
store = Store(Path({folder!r}), Path({folder!r}) / "none")
part = dict(dataset="digits", model="mlp-32-32", n_train=300)
tiny = Recipe(**part, epochs={epochs}, batch_size=50, lr=3e-3)
print("before")
run_all([tiny, tiny.with_seed(1)], store)
"""


class Kernel:
    """What a cell leaves behind in a real kernel."""

    def __init__(self):
        self.manager, self.client = start_new_kernel(startup_timeout=120)

    def run(self, code: str, stop_at: str = "") -> list[dict]:
        """The messages of a cell, interrupted once what matches `stop_at` was written."""
        cell, out = self.client.execute(code), []
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != cell:
                continue
            if message["content"].get("execution_state") == "idle":
                return out
            out.append(message)
            if stop_at and re.search(stop_at, message["content"].get("text", "")):
                self.manager.interrupt_kernel()
                stop_at = ""


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


def written(messages, stream: str) -> str:
    texts = [m["content"] for m in messages if m["msg_type"] == "stream"]
    return "".join(text["text"] for text in texts if text["name"] == stream)


def test_a_stopped_cell_keeps_its_output_and_ends_in_one_line(kernel, tmp_path):
    code = CELL.format(hidden="0", folder=str(tmp_path), epochs=100_000)
    messages = kernel.run(code, stop_at=r"epoch \d\d+/")
    assert written(messages, "stdout").startswith("before\n2 of 2 runs are not in the store")
    assert not [m for m in messages if m["msg_type"] in ("clear_output", "display_data")]
    (error,) = (m["content"] for m in messages if m["msg_type"] == "error")
    assert len(error["traceback"]) == 1
    assert error["traceback"][0].startswith("Stopped after epoch ")
    assert error["traceback"][0].endswith("kept: run the cell again to go on.")
    assert list((tmp_path / "checkpoints").iterdir())


def test_a_headless_notebook_keeps_no_trace_of_the_bar(kernel, tmp_path):
    messages = kernel.run(CELL.format(hidden="1", folder=str(tmp_path), epochs=2))
    assert written(messages, "stderr") == ""
    assert written(messages, "stdout").startswith("before\n2 of 2 runs")
