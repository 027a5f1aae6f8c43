"""Names for what a recipe may hold: a network, a loss, a data set; the course's own or a reader's.

In: a name and a function or class. Out: the thing by its name; of a reader's, also a hash of its
source text, which goes into a recipe's id: a changed network is a new recipe.
"""

import ast
import hashlib
import inspect
import io
import linecache
import re
import secrets
import sys
import textwrap
import tokenize
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

UNKNOWN = "unknown-"


class Registry:
    """The names in one field of a recipe.

    own: gives what the course has under a name, or None. names: what an error offers of those.
    usage: how a reader's own join.
    """

    def __init__(self, field: str, own: Callable[[str], Any], names: Iterable, usage: str):
        self.field, self.own, self.names, self.usage = field, own, names, usage
        self.things: dict[str, tuple[Callable, str]] = {}  # name: the thing, its source's hash

    def register(self, name: str, thing: Callable, replace: bool = False) -> Callable:
        """Keep `thing` under a name and return it.

        Raises ValueError for a name of the course's own, one that another source has (unless
        `replace`), or one that is not made of small letters, digits and hyphens.
        """
        came = f"{self.field} = {name!r}"
        if not isinstance(name, str) or not re.fullmatch("[a-z0-9][a-z0-9-]*", name):
            raise ValueError(f"{came} is no name: use small letters, digits and hyphens.")
        if self.own(name):
            raise ValueError(f"{came} is the course's own name: choose another.")
        if not callable(thing):
            raise ValueError(f"{came}: {thing!r} is no function and no class.")
        known, source = self.things.get(name, (thing, None))
        new = source if thing is known and source else source_hash(thing)
        if source not in (None, new) and not replace:
            raise ValueError(
                f"{came} is taken by {known!r}, which has another source: choose another name, or "
                "pass replace=True; its recipes are new ones then."
            )
        self.things[name] = thing, new
        return thing

    def get(self, name: str) -> Any:
        """The thing of that name; for any other a ValueError with the names that there are."""
        if found := self.things[name][0] if name in self.things else self.own(name):
            return found
        loaded = "experiments" in sys.modules
        more = "" if loaded else " More of its own join by `import experiments`, from notebooks/."
        raise ValueError(
            f"{self.field} = {name!r} is not registered here: {list(self.things)}. The course has "
            f"{list(self.names)}.{more} Your own: {self.usage}"
        )

    def source(self, name: str) -> str | None:
        """Of a reader's own: 10 hex digits of its source's SHA-256, or UNKNOWN and a number."""
        return self.things[name][1] if name in self.things else None


def source_hash(thing: Callable) -> str:
    """A hash of a function's or class's source text, without comments, blank lines and callees.

    Where the text cannot be found, as for what was typed at a prompt: UNKNOWN and a number drawn
    now, so that nothing is recognised by it later.
    """
    try:
        lines = textwrap.dedent(_source(thing)).splitlines()
    except (OSError, SyntaxError, TypeError):
        return UNKNOWN + secrets.token_hex(4)
    whole = io.StringIO("\n".join(lines))
    with suppress(tokenize.TokenError, SyntaxError):  # a piece of a line, such as a lambda's
        for kind, _, (row, column), *_ in tokenize.generate_tokens(whole.readline):
            if kind == tokenize.COMMENT:
                lines[row - 1] = lines[row - 1][:column]
    text = "\n".join(line.rstrip() for line in lines if line.strip())
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _source(thing: Callable) -> str:
    """Source text. `inspect` finds no class of a notebook, but a method of it leads to its cell."""
    methods = filter(inspect.isfunction, vars(thing).values() if inspect.isclass(thing) else ())
    for code in (method.__code__ for method in methods):
        lines = linecache.getlines(code.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                if node.lineno <= code.co_firstlineno <= node.end_lineno:
                    return "".join(lines[node.lineno - 1 : node.end_lineno])
    return inspect.getsource(thing)
