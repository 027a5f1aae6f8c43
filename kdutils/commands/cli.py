"""The command line of the course: `python -m kdutils COMMAND`; `make` calls nothing else.

In: arguments. Out: what the command prints and its exit status: 0, 1 where a notebook or a check
failed, 2 where what was asked for cannot be done, 130 where it was stopped.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from kdutils import ROOT


class _Commands(click.Group):
    """A group that answers an error whose text is meant for the reader with that text alone."""

    def invoke(self, ctx: click.Context) -> int:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of a pipe (`| head`) left; Python would complain once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except Exception as error:
            # Bad values, missing files, too little memory, and what kdutils raises by a name of its
            # own. Anything else is a fault and shows its trace.
            own = any(kind.__module__.startswith("kdutils.") for kind in type(error).__mro__)
            meant = own or isinstance(error, ValueError | OSError | MemoryError)
            if ctx.params["traceback"] or not meant:
                raise
            click.echo(f"error: {error}", err=True)
            return 2


@click.group(cls=_Commands)
@click.option("--traceback", is_flag=True, help="Show where an error arose, not only its text.")
def cli(traceback: bool) -> None:
    """Knowledge distillation in notebooks: run, test, read, record."""


def _add(name: str, target: str, help: str, params: Sequence, *examples: str, **settings) -> None:
    """A command that calls `target` (module:function) with its options as keywords.

    What the function returns is an exit status, or lines to print: with `--check` they say what is
    wrong, and the status is 1. The module is imported when it is needed: `--help` is quick.
    """

    def call(**values) -> int:
        module, _, function = target.partition(":")
        sys.path[:0] = [str(ROOT), str(ROOT / "notebooks")]  # for `book` and `experiments`
        result = getattr(importlib.import_module(module), function)(**values)
        if isinstance(result, int):
            return result
        click.echo("".join(f"{line}\n" for line in result), nl=False)
        return int(bool(result and values.get("check")))

    lines = "".join(f"\n  python -m kdutils {line}" for line in examples or [name])
    cli.add_command(
        click.Command(
            name,
            callback=call,
            params=list(params),
            help=help,
            epilog=f"\b\nexamples:{lines}",
            context_settings=settings,
        )
    )


def _option(name: str, help: str, **settings) -> click.Option:
    return click.Option(name.split(), help=help, **settings)


def _profile(default: str) -> click.Option:
    text = "smoke (embedded data, seconds), laptop (real data, minutes) or paper (a GPU)."
    return _option("--profile", text, default=default, show_default=True)


_NUMBER = click.Argument(["number"], metavar="[NN]", required=False)
_ONLY = _option("--only", "Only this one; more may follow.", metavar="NN", multiple=True)
_MORE = click.Argument(["more"], metavar="[NN]...", nargs=-1)
_SEEDS = _option("--seeds", "Seeds in place of the profile's own.", metavar="0,1,2")
_CHECK = _option("--check", "Write nothing; status 1 if something would change.", is_flag=True)

_OUT = _option("--out", "Where to, instead of build/.", metavar="PATH", type=Path)

_add("book", "book.build:book", "Make the book of the recorded results: no training.", [_OUT])
_add("pdf", "book.build:pdf", "Print that book as one PDF, with Chromium.", [_OUT])
_add("report", "book.report:report", "Run the notebooks and write a web site that opens from disk.",
     [_MORE, _ONLY, _profile("smoke"), _SEEDS,
      _option("--set settings", "Set a parameter.", metavar="NAME=VALUE", multiple=True),
      _OUT],
     "report", "report --profile laptop --only 03", "report --only 01 02 --seeds 0,1")  # fmt: skip
_add("test", "book.checks:run", "Run ruff, pytest and nbval over the whole repository.", [])
_add("lab", "book.series:lab", "Open the course in JupyterLab, which takes these arguments.",
     [click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
     "lab", "lab --no-browser --port 8890", ignore_unknown_options=True)  # fmt: skip
_add("results", "kdutils.commands.results:results",
     "Print every recorded result beside the published one.",
     [_NUMBER, _option("--json as_json", "A JSON list of objects.", is_flag=True)],
     "results", "results 03", "results --json")  # fmt: skip
_add("run", "kdutils.commands.backlog:train",
     "Train what a notebook, or the course, needs and lacks.",
     [_NUMBER, _profile("laptop"), _SEEDS,
      _option("--jobs", "Runs at once, a process each.", type=click.IntRange(1), default=1),
      _option("--minutes", "Begin no run after so long.", type=click.FloatRange(0, min_open=True))],
     "run 03", "run 04 --profile paper --jobs 8", "run --minutes 60")  # fmt: skip
_add("publish", "kdutils.commands.backlog:publish",
     "Copy records from runs/ to data/records/, to commit them.",
     [_NUMBER, _profile("laptop")], "publish", "publish 03 --profile paper")  # fmt: skip
_add("sync", "book.pairs:sync", "Bring each .ipynb and its .py to the same text, outputs kept.",
     [_CHECK, _option("--from source", "Which counts.", type=click.Choice(["py", "ipynb"])),
      _option("--outputs", "Take the outputs of a report.", metavar="DIR", type=Path)],
     "sync", "sync --check", "sync --from ipynb", "sync --outputs build/report")  # fmt: skip
_add("readme", "book.readme:write", "Write the tables of the README from records and times.",
     [_CHECK, _option("--times", "Take over how long a report took.", metavar="DIR", type=Path)],
     "readme", "readme --check", "readme --times build/report")  # fmt: skip
_add("bench", "experiments.bench:command",
     "Measure how fast distillation is here, in about six minutes: "
     "a distillation, b hard labels, c arithmetic rate, d sweep, e memory.",
     [_MORE, _ONLY, _option("--repeats", "Rounds.", type=int, default=5, metavar="N"),
      _option("--dataset", "cifar10 or bayes10; cifar10 where its files lie."),
      _option("--quick", "Tiny, to see that it runs; the numbers mean nothing.", is_flag=True),
      _OUT],
     "bench", "bench --only a e", "bench --quick --out bench.json")  # fmt: skip
_add("student", "book.student:write", "Write the notebooks with blanks to build/student.", [])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    try:
        return cli.main(arguments, prog_name="python -m kdutils", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("Stopped.", err=True)
        return 130
