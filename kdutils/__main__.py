"""The command line of the course: `python -m kdutils COMMAND`; `make` calls nothing else.

In: arguments. Out: what the command prints and its exit status: 0, 1 where a notebook or a check
failed, 2 where what was asked for cannot be done.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def _report(options: argparse.Namespace) -> int:
    from kdutils import report, series

    values = series.parse(options.set)
    if options.seeds is not None:
        values["SEEDS"] = series.parse_seeds(options.seeds)
    values = {"PROFILE": options.profile, **values}
    out = options.out or report.OUT
    failed = report.build(values, only=options.only, out=out, results=_frames)
    return min(1, failed)


def _frames(number: str | None = None) -> dict:
    """The results as one data frame a notebook, under a heading."""
    from kdutils import course, tables

    rows: dict[str, list[dict]] = {}
    for row in tables.results(number):
        rows.setdefault(row["notebook"], []).append(row)
    return {
        f"{notebook} {course.NOTEBOOKS[int(notebook)]}": tables.frame(part)
        for notebook, part in rows.items()
    }


def _test(options: argparse.Namespace) -> int:
    from kdutils import checks

    return checks.run()


def _lab(options: argparse.Namespace) -> int:
    from kdutils import series

    # The root is the repository, so that data/ and figures/ can be seen; the start is notebooks/.
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={series.ROOT}"]
    command += ["--LabApp.default_url=/lab/tree/notebooks", *options.arguments]
    try:
        return subprocess.run(command).returncode
    except KeyboardInterrupt:
        return 0


def _results(options: argparse.Namespace) -> int:
    if options.json:
        from kdutils import tables

        print(json.dumps(tables.results(options.number), indent=2))
        return 0
    frames = _frames(options.number)
    for heading, frame in frames.items():
        print(f"\n{heading}\n\n{frame.to_string(index=False)}")
    if not frames:
        print("No result is recorded yet.")
    return 0


def _run(options: argparse.Namespace) -> int:
    from kdutils import course, profiles, runs, series

    profile = profiles.get(options.profile)
    seeds = profile.seeds if options.seeds is None else series.parse_seeds(options.seeds)
    records = runs.run_arms(course.arms(options.number, profile.name), seeds, jobs=options.jobs)
    print(f"The store holds all {len(records)} runs of notebook {options.number}.")
    return 0


def _publish(options: argparse.Namespace) -> int:
    from kdutils import course, knowledge, profiles, store

    profile, here, written = profiles.get(options.profile), store.Store(), []
    for number in [options.number] if options.number else course.NOTEBOOKS:
        for arm in course.arms(number, profile.name):
            recipes = [arm.recipe.with_seed(seed) for seed in arm.seeds(profile.seeds)]
            written += here.publish(recipes, keep_logits=arm.keep_logits)
            written += knowledge.publish(arm.recipe, here)
    for path in written:
        print(path.name)
    print(f"{len(written)} files are new in {here.published} and {here.published_knowledge}.")
    return 0


def _sync(options: argparse.Namespace) -> int:
    from kdutils import pairs

    notes = pairs.sync(check_only=options.check, source=options.source, outputs=options.outputs)
    for note in notes:
        print(note)
    if options.check and notes:
        print("Run `python -m kdutils sync`.")
        return 1
    return 0


def _readme(options: argparse.Namespace) -> int:
    from kdutils import readme

    if options.times:
        print("\n".join(readme.record_times(options.times)))
    new = readme.fresh()
    if new == readme.README.read_text(encoding="utf-8"):
        return 0
    if options.check:
        print("README.md is not what the records say. Run `python -m kdutils readme`.")
        return 1
    readme.README.write_text(new, encoding="utf-8")
    return 0


def _bench(options: argparse.Namespace) -> int:
    from kdutils import bench

    result = bench.run(options.only, options.repeats, options.dataset, options.quick, options.out)
    print(f"{bench.tables(result)}\n\nWritten to {options.out or bench.OUT}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kdutils",
        description="Knowledge distillation in notebooks: run, test, read, record.",
    )
    parser.add_argument(
        "--traceback", action="store_true", help="show where an error arose, not only its text"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, function, help, examples):
        command = commands.add_parser(
            name,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            epilog="examples:\n" + "\n".join(f"  python -m kdutils {line}" for line in examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(function=function)
        return command

    profile_help = "smoke (embedded data, seconds), laptop (real data, minutes), paper (a GPU)"
    command = add(
        "report",
        _report,
        "run the notebooks and write them as a web site that opens from the disk",
        (
            "report",
            "report --profile laptop --only 03",
            "report --only 01 02 --seeds 0,1",
            "report --only 03 --set TEMPERATURES=[2,4]",
        ),
    )
    command.add_argument("--profile", default="smoke", help=f"{profile_help}; default smoke")
    command.add_argument("--only", nargs="+", metavar="NN", help="only these notebooks")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="set a parameter; repeat"
    )
    command.add_argument("--seeds", metavar="0,1,2", help="seeds in place of the profile's own")
    command.add_argument(
        "--out", type=Path, metavar="DIR", help="where to; default build/report of the repository"
    )

    add("test", _test, "run ruff, pytest and nbval over the whole repository", ("test",))

    command = add(
        "lab",
        _lab,
        "open JupyterLab in notebooks/",
        ("lab", "lab --no-browser --port 8890"),
    )
    command.set_defaults(arguments=[])

    command = add(
        "results",
        _results,
        "print every recorded result beside the published one",
        ("results", "results 03", "results --json"),
    )
    command.add_argument("number", nargs="?", metavar="NN", help="only this notebook's")
    command.add_argument("--json", action="store_true", help="a JSON list of objects")

    command = add(
        "run",
        _run,
        "train all that a notebook needs and the store lacks",
        (
            "run 03 --profile laptop",
            "run 03 --profile laptop --seeds 0,1,2",
            "run 04 --profile paper --jobs 8",
        ),
    )
    command.add_argument("number", metavar="NN", help="the notebook")
    command.add_argument("--profile", default="laptop", help=f"{profile_help}; default laptop")
    command.add_argument("--seeds", metavar="0,1,2", help="seeds in place of the profile's own")
    command.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="runs at once, a process each; default 1"
    )

    command = add(
        "publish",
        _publish,
        "copy records from runs/ to data/records/, to be committed",
        ("publish", "publish 03 --profile paper"),
    )
    command.add_argument("number", nargs="?", metavar="NN", help="only this notebook's")
    command.add_argument("--profile", default="laptop", help=f"{profile_help}; default laptop")

    command = add(
        "sync",
        _sync,
        "bring each .ipynb and its paired .py to the same text, outputs kept",
        ("sync", "sync --check", "sync --from ipynb", "sync --outputs build/report"),
    )
    command.add_argument("--check", action="store_true", help="write nothing; 1 if they differ")
    command.add_argument(
        "--from", dest="source", choices=("py", "ipynb"), help="which counts where both changed"
    )
    command.add_argument(
        "--outputs", type=Path, metavar="DIR", help="take the outputs of the notebooks run there"
    )

    command = add(
        "readme",
        _readme,
        "write the tables of the README from the records and the measured times",
        ("readme", "readme --check", "readme --times build/report"),
    )
    command.add_argument("--check", action="store_true", help="write nothing; 1 if it would change")
    command.add_argument(
        "--times", type=Path, metavar="DIR", help="take over how long the notebooks there took"
    )

    command = add(
        "bench",
        _bench,
        "measure how fast distillation is here, the tutorial's way beside ours; about six minutes",
        ("bench", "bench --only a e", "bench --quick --out /tmp/bench.json"),
    )
    command.add_argument(
        "--only", nargs="+", metavar="PART",
        help="a distillation, b hard labels, c arithmetic rate, d sweep, e memory; default all",
    )  # fmt: skip
    command.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds; default 5")
    command.add_argument(
        "--dataset", help="cifar10 or bayes10; default cifar10 where its files lie"
    )
    command.add_argument(
        "--quick", action="store_true", help="tiny, to see that it runs; the numbers mean nothing"
    )
    command.add_argument(
        "--out", type=Path, metavar="FILE", help="where to; default build/bench.json"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command == "lab":
        options.arguments = [argument for argument in rest if argument != "--"]
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return options.function(options)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe (`| head`) left; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        # An error whose text is meant for the reader: bad values, missing files, and whatever
        # kdutils itself raises by a name of its own. Anything else is a fault and shows its trace.
        meant = isinstance(error, ValueError | OSError)
        if options.traceback or not (meant or type(error).__module__.startswith("kdutils.")):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
