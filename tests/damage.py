"""Is damage found? Random bit flips and truncations of every kind of file that `kdutils` reads.

`make damage`, or `python tests/damage.py [n] [seed]`.

In: how many, a seed. Out: a table of kinds: how many were tried, how many were found on reading.
"""

import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from kdutils import data, runs, training
from kdutils.knowledge import Knowledge
from kdutils.recipes import Recipe
from kdutils.store import Damaged, Store

HEADER = 1_000  # bytes: every other flip falls among the first so many


def run(n: int = 1_000, seed: int = 0) -> int:
    """Do n damages, print what was found; 1 if one was not found or not named, else 0.

    A damage counts as found where reading raises Damaged naming the file.
    """
    if n < 1:
        raise ValueError(f"n = {n} must be at least 1.")
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        files = _files(Store(Path(folder) / "runs", Path(folder) / "records"))
        count = {(kind, how): [0, 0] for kind in files for how in ("flip", "cut")}
        for turn in range(n):
            kind, how = list(count)[turn % len(count)]
            path, read = files[kind]
            whole = path.read_bytes()
            path.write_bytes(_flip(whole, draw) if how == "flip" else _cut(whole, draw))
            count[kind, how][0] += 1
            count[kind, how][1] += _found(path, read)
            path.write_bytes(whole)
        for _, read in files.values():
            read()  # whole again: nothing is wrong with what was read
    print(f"{'file':28}{'bit flips found':>18}{'truncations found':>20}")
    for kind in files:
        flips, cuts = (f"{count[kind, how][1]} of {count[kind, how][0]}" for how in ("flip", "cut"))
        print(f"{kind:28}{flips:>18}{cuts:>20}")
    found = sum(right for _, right in count.values())
    print(f"{found} of {n} damages were found.")
    return int(found < n)


def _flip(whole: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(min(len(whole), draw.choice((HEADER, len(whole)))))
    return whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :]


def _cut(whole: bytes, draw: random.Random) -> bytes:
    return whole[: draw.randrange(len(whole))]


def _found(path: Path, read: Callable[[], object]) -> bool:
    try:
        read()
    except Damaged as error:
        return path.name in str(error)
    except Exception:  # an error that names no file does not help
        return False
    return False


def _files(store: Store) -> dict[str, tuple[Path, Callable[[], object]]]:
    """One sound file of each kind, and what reads it."""
    teacher = Recipe(
        dataset="digits", model="mlp-16", epochs=3, batch_size=50, lr=3e-3, n_train=100
    )
    student = replace(teacher, teacher=teacher, temperature=4.0, views="jitter", n_views=2)
    moving = replace(student, n_views=0)
    for recipe in (student, moving):
        runs.run(recipe, store)
    digits, checkpoint = data.load("digits"), store.local / "checkpoints" / "any.ckpt"

    def stop(done: float) -> None:
        if done > 2:
            raise KeyboardInterrupt

    with suppress(training.Interrupted):
        training.fit(teacher, digits, checkpoint=checkpoint, on_step=stop)

    def resume() -> None:
        kept = checkpoint.read_bytes()
        training.fit(teacher, digits, checkpoint=checkpoint)
        checkpoint.write_bytes(kept)  # a run that ends deletes it

    (stored,) = (store.local / "knowledge").glob("*.safetensors")
    beside = store.local / teacher.id
    return {
        "record": (store.local / f"{teacher.id}.json", lambda: store.get(teacher)),
        "logits": (Path(f"{beside}.logits.safetensors"), lambda: store.logits(teacher)),
        "weights": (Path(f"{beside}.weights.safetensors"), lambda: store.weights(teacher)),
        "knowledge of several views": (
            stored,
            lambda: Knowledge(student, digits, store).logits(0),
        ),
        "knowledge of one view": (
            Knowledge(moving, digits, store).path(1),
            lambda: Knowledge(moving, digits, store).logits(1),
        ),
        "checkpoint": (checkpoint, resume),
    }


if __name__ == "__main__":
    sys.exit(run(*map(int, sys.argv[1:])))
