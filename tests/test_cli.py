"""The command line, and the Makefile in front of it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import click
import pytest

from book import report
from kdutils import ROOT, experiments, runs
from kdutils.commands import backlog
from kdutils.commands.cli import cli, main
from kdutils.store import Store


def _kdutils(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "kdutils", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_help_names_every_command_and_each_shows_examples(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    commands = "book pdf report test lab results run publish sync readme bench student".split()
    assert sorted(commands) == sorted(cli.commands)
    for command in commands:
        assert re.search(rf"^  {command}\b", text, re.M)
        assert main([command, "--help"]) == 0
        assert f"python -m kdutils {command}" in capsys.readouterr().out.split("examples:")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "--profile", "smok"], "'smok'"),
        (["report", "--seeds", "0,a"], "SEEDS"),
        (["report", "--set", "nothing"], "NAME=VALUE"),
        (["run", "01", "--profile", "huge"], "'huge'"),
        (["run", "77"], "'77'"),
        (["publish", "77"], "'77'"),
        (["results", "77"], "'77'"),
        (["report", "--out", "README.md"], "README.md is a file"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_status_2(arguments, message, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and message in shown.err
    assert shown.err.startswith("error: ") and shown.err.count("\n") == 1


def test_an_unknown_notebook_is_answered_with_those_that_exist(capsys):
    assert main(["report", "--only", "77"]) == 2
    assert re.search(r"'77'.*01 .*02 .*03 ", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["report", "--prfile", "smoke"], "--prfile"),
        (["run", "01", "--job", "2"], "--job"),  # an abbreviation
        (["results", "01", "02"], "02"),
        (["sync", "--from", "pyx"], "pyx"),
        (["run", "--jobs", "two"], "two"),
        (["run", "--jobs", "0"], "--jobs"),
        (["run", "--minutes", "0"], "--minutes"),
        (["nosuch"], "nosuch"),
    ],
)
def test_what_the_command_line_does_not_know_is_named_and_refused(arguments, named, capsys):
    assert main(arguments) == 2
    assert named in capsys.readouterr().err


def test_one_process_from_the_shell_ends_with_the_same_status():
    result = _kdutils("report", "--prfile", "smoke")
    assert result.returncode == 2 and "--prfile" in result.stderr


@pytest.fixture
def raising(monkeypatch):
    """A command `raise` that raises what it is given."""

    def add(error):
        def callback():
            raise error

        monkeypatch.setitem(cli.commands, "raise", click.Command("raise", callback=callback))

    return add


def test_a_fault_shows_its_trace_and_an_error_for_the_reader_on_request(raising):
    raising(ZeroDivisionError("a fault of ours"))
    with pytest.raises(ZeroDivisionError):
        main(["raise"])
    raising(ValueError("said to the reader"))
    assert main(["raise"]) == 2
    with pytest.raises(ValueError, match="said to the reader"):
        main(["--traceback", "raise"])


def test_a_stopped_command_says_so_and_ends_with_130(raising, capsys):
    raising(KeyboardInterrupt())
    assert main(["raise"]) == 130
    assert capsys.readouterr().err.strip() == "Stopped."


def test_several_numbers_may_follow_only(monkeypatch):
    asked = []
    monkeypatch.setattr(report, "run", lambda values, only, **rest: asked.append(only) or 0)
    for arguments in (["--only", "01", "02"], ["01", "02"], ["--only", "01", "--only", "02"]):
        assert main(["report", *arguments]) == 0
    assert asked == [["01", "02"]] * 3


def test_results_are_a_list_of_objects_with_the_agreed_keys(capsys):
    assert main(["results", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    keys = "notebook dataset arm metric published mean ci95 n profile device recorded".split()
    assert {row["notebook"] for row in rows} >= {"01", "03", "04"}
    assert all(list(row) == keys for row in rows)
    assert main(["results"]) == 0
    text = capsys.readouterr().out
    assert all(row["arm"] in text for row in rows)


def test_what_stands_beside_a_published_value_is_trained_first_and_the_cheap_before_the_dear():
    found = backlog.wanted("03", "laptop", range(7))
    arms = experiments.arms("03", "laptop")
    published = [arm for arm in arms if any(value is not None for value in arm.metrics.values())]
    first = {recipe for arm in published for recipe in arm.recipes(range(5))}
    second = {recipe for arm in arms for recipe in arm.recipes(range(3))} - first
    third = {recipe for arm in arms for recipe in arm.recipes(range(7))} - first - second
    assert first and second and third
    seconds = runs.costs(found, Store())
    for part in (first, second, third):
        now, found = found[: len(part)], found[len(part) :]
        assert set(now) == part
        assert [seconds[r] for r in now] == sorted(seconds[r] for r in now)
    assert found == []


def test_what_needs_a_download_is_trained_last():
    found = backlog.wanted("09", "paper", range(2))
    arms = experiments.arms("09", "paper")
    free = {r for arm in arms if not arm.optional for r in arm.recipes(range(2))}
    fetched = {r for arm in arms if arm.optional for r in arm.recipes(range(2))} - free
    assert fetched and set(found[len(free) :]) == fetched


@pytest.mark.parametrize("kind", ["MissingWeights", "MemoryError"])
def test_what_was_written_for_the_reader_comes_without_a_trace(kind, monkeypatch, capsys):
    from experiments.pretrained import MissingWeights

    def fail(*_, **__):
        raise {"MissingWeights": MissingWeights, "MemoryError": MemoryError}[kind]("Put it there.")

    monkeypatch.setattr(backlog, "wanted", fail)
    assert main(["run", "01"]) == 2
    assert capsys.readouterr().err == "error: Put it there.\n"


TWO_JOBS = [sys.executable, "-m", "kdutils", "run", "--jobs", "2"]


@pytest.fixture
def elsewhere(tmp_path):
    """What a command is started with, so that it keeps its runs in an empty folder."""
    environment = os.environ | {"KDUTILS_RUNS": str(tmp_path / "runs")}
    return {"cwd": ROOT, "env": environment, "text": True}


def test_runs_in_several_processes_give_the_records_of_one(elsewhere, tmp_path):
    command = [*TWO_JOBS, "07", "--profile", "smoke", "--seeds", "90,91"]
    result = subprocess.run(command, **elsewhere, capture_output=True, check=True)
    recipes = backlog.wanted("07", "smoke", [90, 91])
    alone = runs.run_all(recipes, Store(tmp_path / "alone"))
    store = Store(tmp_path / "runs")
    for a, b in zip(map(store.get, recipes), alone, strict=True):
        assert (a.recipe, a.metrics) == (b.recipe, b.metrics)
        assert [e["val_errors"] for e in a.curve] == [e["val_errors"] for e in b.curve]
    n = len(recipes)
    first, *_, last = result.stdout.splitlines()
    assert f"{n} of {n} runs are not in the store" in first
    assert last == f"The store holds {n} of the {n} runs of chapter 07."
    shown = {line.split(" % ")[0] for line in result.stderr.splitlines()}
    assert shown == {f"{r.id}: {r.metrics['val_accuracy']:.2f}" for r in alone}
    assert len(result.stderr.splitlines()) == n  # each was trained once
    again = subprocess.run(command, **elsewhere, capture_output=True, check=True)
    assert (again.stdout, again.stderr) == (f"{last}\n", "")


def test_a_process_that_fails_ends_the_command_with_1_and_what_it_said(elsewhere, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "checkpoints").write_text("This should be a folder.")
    command = [*TWO_JOBS, "07", "--profile", "smoke", "--seeds", "90"]
    result = subprocess.run(command, **elsewhere, capture_output=True)
    assert result.returncode == 1 and "The store holds" not in result.stdout
    assert result.stderr.count("error: ") == 2 and "checkpoints" in result.stderr
    assert not list((tmp_path / "runs").glob(".*.lock"))


@pytest.mark.parametrize("whom", ["all", "the first"])
def test_stopping_the_command_stops_every_process(whom, elsewhere, tmp_path):
    """As Ctrl-C does, which reaches all of them, and as a signal to this one process does."""
    seeds = ",".join(map(str, range(90, 200)))
    command = subprocess.Popen(
        [*TWO_JOBS, "01", "--profile", "laptop", "--seeds", seeds],
        **elsewhere,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    until = time.time() + 150
    while len(list((tmp_path / "runs").glob(".*.lock"))) < 2 and time.time() < until:
        time.sleep(0.05)
    if whom == "all":
        os.killpg(command.pid, signal.SIGINT)
    else:
        command.send_signal(signal.SIGINT)
    _, said = command.communicate(timeout=30)  # that is until all of them have let go of stderr
    assert command.returncode == 130 and "Stopped." in said and "Traceback" not in said


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


def _make(*arguments):
    # Without what an outer `make test` hands down to the commands it starts.
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    environment.pop("MFLAGS", None)
    command = ["make", "--dry-run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


@needs_make
@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["report"], "report"),
        (["report", "PROFILE=laptop", "ONLY=03"], "report --profile laptop --only 03"),
        (["report", "ONLY=01 02", "SEEDS=0,1"], "report --seeds 0,1 --only 01 02"),
        (["report", "SET=TEMPERATURES=[2, 4]"], "report --set 'TEMPERATURES=[2, 4]'"),
        (["test"], "test"),
        (["lab"], "lab"),
        (["results", "NN=03"], "results 03"),
        (["run", "NN=03", "PROFILE=paper"], "run 03 --profile paper"),
        (["run", "NN=03", "JOBS=2"], "run 03 --jobs 2"),
        (["run", "MINUTES=60"], "run --minutes 60"),
        (["student"], "student"),
    ],
)
def test_make_calls_the_command_of_the_same_name(arguments, command):
    shown = [" ".join(line.split()) for line in _make(*arguments).stdout.splitlines()]
    assert shown[-1] == f".venv/bin/python -m kdutils {command}"


@needs_make
def test_make_refuses_a_misspelt_variable():
    result = _make("report", "PROFLE=laptop")
    assert result.returncode != 0 and "PROFLE" in result.stderr and "PROFILE" in result.stderr
