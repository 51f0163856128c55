"""Signatures read from the source of packages that are not imported yet.

A misspelt ``max_epocs`` is found without importing Lightning: its files are parsed, not executed. Of a class
or function the names, defaults and annotations of its arguments are read; names in annotations are followed
through the imports of the package. What cannot be read so is left to the import.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Union

__all__ = ["PACKAGES", "read_callable"]

#: whose files are read instead of imported
PACKAGES = ("pytorch_lightning", "lightning_fabric")

_FOLLOWED = 40  # imports from module to module, before giving up


class _UnreadableError(Exception):
    """Something that only an import can tell."""


@functools.cache
def read_callable(target: str) -> Callable[..., Any] | None:
    """A stand-in with the name, signature and annotations of ``"package.module:attribute.attribute"``.

    Returns:
        None where the package was imported already, is not one of :data:`PACKAGES`, or cannot be read.
    """
    module_name, _, attributes = target.partition(":")
    if module_name.partition(".")[0] not in PACKAGES or module_name in sys.modules or not attributes:
        return None
    try:
        module: _Source | None = _source(module_name)
        node: ast.AST | None = None
        for name in attributes.split("."):
            node, module = _member(node, module, name)
        if module is None:
            return None
        return _stand_in(node, module)
    except (_UnreadableError, OSError, SyntaxError, RecursionError):
        return None


class _Source:
    """The top level of a module: what its names are bound to. Only the statements asked for are parsed."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.is_package = path.name == "__init__.py"
        self._texts: dict[str, str] = {}
        self._nodes: dict[str, ast.stmt] = {}
        for text in _chunks(path.read_text(encoding="utf-8")):
            found = _DEFINITION.match(text)
            if found is not None:
                self._texts.setdefault(found[1] or found[2], text)
            elif text.startswith(("import ", "from ", "if ", "try:")):
                for statement in _statements(ast.parse(text).body):
                    for bound in _bound_by(statement):
                        self._nodes.setdefault(bound, statement)

    def get(self, name: str) -> ast.stmt | None:
        """The statement that binds a name; of a class only its head, see :meth:`method`."""
        if name not in self._nodes and name in self._texts:
            is_class = _CLASS.match(self._texts[name])
            self._nodes[name] = ast.parse(f"class {name}: ..." if is_class else self._texts[name]).body[-1]
        return self._nodes.get(name)

    def method(self, owner: str, name: str) -> ast.stmt | None:
        """A method of a class."""
        body = re.sub(r"^    ", "", self._texts.get(owner, "").partition("\n")[2], flags=re.MULTILINE)
        for text in _chunks(body):
            found = _DEFINITION.match(text)
            if found is not None and found[1] == name:
                return ast.parse(text).body[-1]
        return None


#: a class, a function, or an assignment to one name
_DEFINITION = re.compile(r"(?:@.*\n)*(?:(?:class|(?:async )?def)\s+(\w+)|(\w+)\s*(?::[^=\n]*)?=[^=])")
_CLASS = re.compile(r"(?:@.*\n)*class\s")
#: where a statement of the top level goes on
_INSIDE = re.compile(r"[ \t)\]}#]|else\b|elif\b|except\b|finally\b|$")


def _chunks(text: str) -> Iterator[str]:
    """The statements of the top level as text; decorators stay with what they decorate."""
    chunk: list[str] = []
    quoted = False  # within a text of several lines
    for line in text.split("\n"):
        decorated = bool(chunk) and chunk[-1].startswith("@")
        if chunk and not quoted and not decorated and not _INSIDE.match(line):
            yield "\n".join(chunk)
            chunk = []
        chunk.append(line)
        quoted ^= line.count('"""') % 2 == 1
    yield "\n".join(chunk)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those in conditions too."""
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            yield from _statements(statement.body)
            yield from _statements(statement.orelse)
        else:
            yield statement


def _bound_by(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        return [statement.name]
    if isinstance(statement, ast.Import):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


@functools.cache
def _source(name: str) -> _Source:
    """Parse a module of one of the packages."""
    path: list[str] | None = None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:count]), path)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            raise _UnreadableError(name)
        path = list(spec.submodule_search_locations or [])
        file = Path(spec.origin)
    return _Source(name, file)


def _member(
    node: ast.AST | None, module: _Source | None, name: str, follow: int = _FOLLOWED
) -> tuple[ast.AST, _Source]:
    """The definition of a module's name, or of a class's method, and where it stands."""
    if module is None or follow == 0:
        raise _UnreadableError(name)
    if isinstance(node, ast.ClassDef):
        method = module.method(node.name, name)
        if method is None:
            raise _UnreadableError(name)
        return method, module
    statement_of = module.get(name)
    if isinstance(statement_of, ast.ImportFrom):
        home = _absolute(statement_of, module)
        if home.partition(".")[0] not in PACKAGES:
            raise _UnreadableError(name)
        original = next(a.name for a in statement_of.names if (a.asname or a.name) == name)
        return _member(None, _source(home), original, follow - 1)
    if statement_of is None:
        raise _UnreadableError(name)
    return statement_of, module


def _absolute(statement: ast.ImportFrom, module: _Source) -> str:
    """The full name of the module that a statement imports from."""
    if not statement.level:
        return statement.module or ""
    base = module.name.split(".")
    base = base[: len(base) - statement.level + module.is_package]
    return ".".join([*base, *([statement.module] if statement.module else [])])


def _stand_in(node: ast.AST | None, module: _Source) -> Callable[..., Any]:
    """A function with the signature of a class or function."""
    name = getattr(node, "name", "")
    if isinstance(node, ast.ClassDef):
        node, module = _member(node, module, "__init__")
    if not isinstance(node, ast.FunctionDef):
        raise _UnreadableError(name)
    parameters = list(_parameters(node.args))

    def stand_in(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"{name} was only read, not imported")

    stand_in.__name__ = stand_in.__qualname__ = name
    stand_in.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    stand_in.__annotations__ = dict(_annotations(node.args, module))
    return stand_in


def _parameters(arguments: ast.arguments) -> Iterator[inspect.Parameter]:
    positional = [*arguments.posonlyargs, *arguments.args]
    without = len(positional) - len(arguments.defaults)
    for index, argument in enumerate(positional):
        kind = (
            inspect.Parameter.POSITIONAL_ONLY
            if index < len(arguments.posonlyargs)
            else inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        default = _default(arguments.defaults[index - without] if index >= without else None)
        yield inspect.Parameter(argument.arg, kind, default=default)
    if arguments.vararg is not None:
        yield inspect.Parameter(arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL)
    for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield inspect.Parameter(argument.arg, inspect.Parameter.KEYWORD_ONLY, default=_default(value))
    if arguments.kwarg is not None:
        yield inspect.Parameter(arguments.kwarg.arg, inspect.Parameter.VAR_KEYWORD)


class _Computed:
    """A default that only the import knows."""


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return inspect.Parameter.empty
    try:
        return ast.literal_eval(node)
    except ValueError:
        return _Computed()


def _annotations(arguments: ast.arguments, module: _Source) -> Iterator[tuple[str, Any]]:
    """What can be told of each argument's type."""
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.annotation is not None:
            try:
                yield argument.arg, _value(argument.annotation, module)
            except (_UnreadableError, OSError, SyntaxError, TypeError, AttributeError, ValueError):
                continue


def _value(node: ast.expr, module: _Source, follow: int = _FOLLOWED) -> Any:  # noqa: PLR0911 - one per node
    """Evaluate an annotation: names of Python itself are themselves, classes of others are empty ones."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str) and follow:
            return _value(ast.parse(node.value, mode="eval").body, module, follow - 1)
        return node.value
    if isinstance(node, ast.Name):
        return _named(node.id, module, follow)
    if isinstance(node, ast.Attribute):
        owner = _value(node.value, module, follow)
        return _class(node.attr) if isinstance(owner, _Elsewhere) else getattr(owner, node.attr)
    if isinstance(node, ast.Subscript):
        owner = _value(node.value, module, follow)
        literal = getattr(owner, "_name", "") == "Literal"
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        items = tuple(
            item.value if literal and isinstance(item, ast.Constant) else _value(item, module, follow)
            for item in inner
        )
        return owner[items if len(items) != 1 else items[0]]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[_value(node.left, module, follow), _value(node.right, module, follow)]  # noqa: UP007
    if isinstance(node, ast.List):
        return [_value(item, module, follow) for item in node.elts]
    raise _UnreadableError(ast.dump(node))


class _Elsewhere:
    """A module that is not followed."""


@functools.cache
def _class(name: str) -> type:
    """What stands for a class that JSON cannot hold anyway."""
    return type(name, (), {})


def _named(name: str, module: _Source, follow: int) -> Any:  # noqa: PLR0911 - one line per kind of binding
    """What a name of a module means in an annotation."""
    statement = module.get(name)
    if follow == 0:
        raise _UnreadableError(name)
    if statement is None:
        if hasattr(builtins, name):
            return getattr(builtins, name)
        raise _UnreadableError(name)
    if isinstance(statement, ast.ClassDef):
        return _class(name)
    if isinstance(statement, ast.Assign):
        return _value(statement.value, module, follow - 1)
    if isinstance(statement, ast.ImportFrom):
        home = _absolute(statement, module)
        original = next(a.name for a in statement.names if (a.asname or a.name) == name)
        if home.partition(".")[0] in PACKAGES:
            return _named(original, _source(home), follow - 1)
        if home.partition(".")[0] in sys.stdlib_module_names or home == "typing_extensions":
            return getattr(importlib.import_module(home), original)
        return _class(original)
    if isinstance(statement, ast.Import):
        full = next(a.name for a in statement.names if (a.asname or a.name.partition(".")[0]) == name)
        standard = full.partition(".")[0] in sys.stdlib_module_names
        return importlib.import_module(full) if standard else _Elsewhere()
    raise _UnreadableError(name)
