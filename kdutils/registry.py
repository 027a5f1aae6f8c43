"""Names for what a reader adds to the course: a network, a loss, a data set.

In: a name and a function or class. Out: the thing by its name, and a hash of its source text, which
goes into a recipe's id: a changed network is a new recipe.
"""

import ast
import hashlib
import inspect
import io
import linecache
import re
import secrets
import textwrap
import tokenize
from collections.abc import Callable
from typing import TypeVar

UNKNOWN = "unknown-"
Thing = TypeVar("Thing", bound=Callable)


class Registry:
    """kind: the recipe's field that these names stand in. builtin: is a name the course's own?"""

    def __init__(self, kind: str, builtin: Callable[[str], bool]):
        self.kind, self.builtin = kind, builtin
        self.things: dict[str, tuple[Callable, str]] = {}  # name: the thing, its source's hash

    def register(self, name: str, thing: Thing, replace: bool = False) -> Thing:
        """Keep `thing` under a name and return it.

        Raises ValueError for a name of the course's own, one that another source has (unless
        `replace`), or one that is not made of small letters, digits and hyphens.
        """
        if not isinstance(name, str) or not re.fullmatch("[a-z0-9][a-z0-9-]*", name):
            raise ValueError(
                f"{self.kind} = {name!r} is no name to register: use small letters, digits and "
                "hyphens, such as 'mine-2'."
            )
        if not callable(thing):
            raise ValueError(f"{self.kind} = {name!r}: {thing!r} is no function and no class.")
        if self.builtin(name):
            raise ValueError(f"{self.kind} = {name!r} is the course's own name: choose another.")
        known, source = self.things.get(name, (thing, ""))
        new = source if source and known is thing else source_hash(thing)
        if source and source != new and not replace:
            raise ValueError(
                f"{self.kind} = {name!r} is taken by {known!r}, whose source is another: choose "
                "another name, or pass replace=True, which makes its recipes new ones."
            )
        self.things[name] = thing, new
        return thing

    def __contains__(self, name: object) -> bool:
        return name in self.things

    def get(self, name: str) -> Callable:
        """The thing of that name; ValueError with the names that are registered for any other."""
        return self._entry(name)[0]

    def source(self, name: str) -> str:
        """10 hex digits of its source's SHA-256, or UNKNOWN and a random number."""
        return self._entry(name)[1]

    def _entry(self, name: str) -> tuple[Callable, str]:
        if name not in self.things:
            raise ValueError(
                f"{self.kind} = {name!r} is not registered here. Registered: {list(self.things)}."
            )
        return self.things[name]


def source_hash(thing: Callable) -> str:
    """A hash of a function's or class's source text, without comments and blank lines.

    Code that it calls is not part of it. Where the text cannot be found, as for what was typed at a
    prompt, UNKNOWN and a number drawn now: nothing can be recognised by that later.
    """
    try:
        text = _plain(_source(thing))
    except (OSError, TypeError):
        return UNKNOWN + secrets.token_hex(4)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _source(thing: Callable) -> str:
    """Source text. `inspect` does not find a class of a notebook: its first method leads there."""
    if not inspect.isclass(thing):
        return inspect.getsource(thing)
    methods = [m for m in vars(thing).values() if inspect.isfunction(m)]
    for code in (m.__code__ for m in methods if m.__qualname__.startswith(thing.__qualname__)):
        lines = linecache.getlines(code.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                if node.lineno <= code.co_firstlineno <= node.end_lineno:
                    return "".join(lines[node.lineno - 1 : node.end_lineno])
    return inspect.getsource(thing)


def _plain(text: str) -> str:
    """The text without comments, blank lines, trailing spaces and its common indentation."""
    lines = textwrap.dedent(text).splitlines()
    try:
        for token in tokenize.generate_tokens(io.StringIO("\n".join(lines)).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    except (tokenize.TokenError, SyntaxError):  # a piece of a line, such as a lambda's
        pass
    return "\n".join(line.rstrip() for line in lines if line.strip())
