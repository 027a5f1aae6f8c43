"""Registered names: what is refused, and what a source's hash does and does not notice."""

import subprocess
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from torch import nn

from kdutils import data, losses, models
from kdutils.registry import UNKNOWN, Registry


@pytest.fixture
def registry():
    return Registry("model", {"cnn5": nn.Identity}.get, ["cnn5"], "call register")


def function_from(tmp_path, text, stem):
    """The object `thing` of a module with this text."""
    path = tmp_path / f"{stem}.py"
    path.write_text(text)
    scope = {"__name__": stem, "__file__": str(path)}
    exec(compile(text, str(path), "exec"), scope)
    return scope["thing"]


def test_what_is_registered_is_returned_and_found(registry):
    def thing():
        return 1

    assert registry.register("mine", thing) is thing
    assert registry.get("mine") is thing and registry.get("cnn5") is nn.Identity
    assert registry.source("mine") and registry.source("cnn5") is registry.source("yours") is None
    there = r"'yours' is not registered here: \['mine'\].*\['cnn5'\].*call register"
    with pytest.raises(ValueError, match=there):
        registry.get("yours")


@pytest.mark.parametrize("name", ["", "Mine", "my net", "-mine", "my_net", "mine\n", None, 3])
def test_a_name_is_made_of_small_letters_digits_and_hyphens(registry, name):
    with pytest.raises(ValueError, match="small letters, digits and hyphens"):
        registry.register(name, len)


def test_a_name_of_the_course_and_a_thing_that_cannot_be_called_are_refused(registry):
    with pytest.raises(ValueError, match="'cnn5' is the course's own name"):
        registry.register("cnn5", len)
    with pytest.raises(ValueError, match="no function and no class"):
        registry.register("mine", 3)


@pytest.mark.parametrize(
    ("module", "own"), [(models, "resnet18-w7"), (losses, "kd"), (data, "digits")]
)
def test_the_courses_own_names_cannot_be_taken(module, own):
    with pytest.raises(ValueError, match=f"'{own}' is the course's own"):
        module.register(own, lambda: None)


FIRST = """
def thing(x):
    # a comment
    return "#1" + x   # another
"""
TOUCHED = """


def thing(x):

    return "#1" + x
"""
CHANGED = """
def thing(x):
    return "#2" + x
"""


def test_comments_and_blank_lines_leave_the_hash_alone_and_a_changed_line_does_not(
    registry, tmp_path
):
    texts = {"first": FIRST, "touched": TOUCHED, "changed": CHANGED}
    made = {name: function_from(tmp_path, text, name) for name, text in texts.items()}
    for name, thing in made.items():
        registry.register(name, thing)
    source = registry.source("first")
    assert len(source) == 10 and int(source, 16) >= 0
    assert registry.source("touched") == source != registry.source("changed")

    registry.register("first", made["touched"])  # a cell that is run twice
    assert registry.get("first") is made["touched"]
    with pytest.raises(ValueError, match="'first' is taken.*replace=True"):
        registry.register("first", made["changed"])
    assert registry.source("first") == source
    registry.register("first", made["changed"], replace=True)
    assert registry.source("first") == registry.source("changed")


def test_the_hash_is_the_same_in_every_version_of_python(registry, tmp_path):
    """SHA-256 of the two lines that remain, as `sha256sum` has it."""
    registry.register("mine", function_from(tmp_path, FIRST, "first"))
    assert registry.source("mine") == "969da2e4e4"


def test_a_class_of_a_notebook_has_a_source_and_it_is_the_cell_that_was_run(registry):
    """A notebook's classes belong to no file: `inspect` alone does not find them."""
    shell = InteractiveShell.instance()
    cell = "class Thing:\n    def forward(self, x):\n        return x  # {}\n"
    try:
        sources = []
        for text in (cell.format("one"), cell.format("two"), cell.replace("return x", "return -x")):
            assert shell.run_cell(text, store_history=True).success
            sources.append(registry.register("mine", shell.user_ns["Thing"], True))
            sources[-1] = registry.source("mine")
        assert not sources[0].startswith(UNKNOWN)
        assert sources[0] == sources[1] != sources[2]
    finally:
        InteractiveShell.clear_instance()


def test_what_was_typed_at_a_prompt_runs_but_is_never_recognised():
    code = """
from kdutils import losses
from kdutils.recipes import Recipe
def thing(z, t, y, recipe): return z.sum()
for name in ("mine", "mine"):
    losses.register(name, thing)
recipe = Recipe(dataset="digits", model="mlp-8", epochs=1, batch_size=1, lr=0.1, loss="mine")
print(losses.REGISTERED.source("mine"), recipe.recognisable)
"""
    texts = set()
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-"], input=code, capture_output=True, text=True, check=True
        )
        source, recognisable = done.stdout.split()
        assert source.startswith(UNKNOWN) and recognisable == "False"
        texts.add(source)
    assert len(texts) == 2


@pytest.mark.parametrize(
    ("field", "name"), [("dataset", "bayes10"), ("model", "wrn-10-1"), ("model", "fastnet")]
)
def test_what_the_chapters_add_is_asked_for_with_the_words_that_load_it(field, name):
    """A process that has not loaded the chapters; nor do ids of the course's own hold a source."""
    code = f"""
import sys
from kdutils import ROOT
from kdutils.recipes import Recipe
given = dict(dataset="digits", model="mlp-8", epochs=1, batch_size=1, lr=0.1)
given[{field!r}] = {name!r}
try:
    Recipe(**given)
except ValueError as error:
    print(error)
    read = Recipe.from_dict(given)
sys.path.insert(0, str(ROOT / "notebooks"))
import experiments
assert Recipe(**given).id == read.id and Recipe(**given).registered == ()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{field} = {name!r} is not registered here")
    assert "`import experiments`, from notebooks/" in done.stdout


def test_a_network_class_is_hashed_as_a_whole(registry):
    class Net(nn.Module):
        scale = 2

        def forward(self, x):
            return self.scale * x

    first = registry.register("net", Net)
    before = registry.source("net")

    class Net(nn.Module):
        scale = 3

        def forward(self, x):
            return self.scale * x

    assert first is not Net
    with pytest.raises(ValueError, match="taken"):
        registry.register("net", Net)
    assert registry.source("net") == before
