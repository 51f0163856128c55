"""Registries: a name, or an import path, becomes a factory and its config model.

There is one :class:`Registry` per kind of component (net, dataset, loss, …). Built-in names come from
:mod:`nam_like.catalog`, which holds strings only, so that listing them imports nothing; a target is imported when
it is first used. Extensions add their own entries with :meth:`Registry.register`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from nam_like import catalog
from nam_like.errors import UserError

__all__ = [
    "DuplicateNameError",
    "Entry",
    "Registry",
    "UnknownNameError",
    "did_you_mean",
    "import_path",
    "owned_by",
    "registry_of",
]

Factory = Callable[..., Any]

_owner: ContextVar[str] = ContextVar("owner", default="the running program")


class UnknownNameError(UserError):
    """A name that no registry entry, namespace or importable module answers to."""


class DuplicateNameError(UserError):
    """A second registration of a name; the message names the first owner."""


@contextmanager
def owned_by(owner: str) -> Iterator[None]:
    """Attribute every registration inside the block to `owner` (an extension's path, say)."""
    token = _owner.set(owner)
    try:
        yield
    finally:
        _owner.reset(token)


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return ``"; did you mean 'X'?"`` for the known name closest to `name`, or an empty string."""
    lowered = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean '{lowered[close[0]]}'?" if close else ""


def import_path(path: str) -> Any:
    """Import ``package.module.attribute`` (or ``package.module:attribute``) and return the attribute.

    Raises:
        UnknownNameError: the module cannot be found, or it has no such attribute; the message says which.
    """
    module_name, _, attribute = path.replace(":", ".").rpartition(".")
    if not module_name:
        raise UnknownNameError(f"expected an import path such as package.module.Name, but got '{path}'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(missing + "."):
            raise UnknownNameError(f"cannot import '{path}': there is no module '{missing}'") from error
        raise UnknownNameError(
            f"cannot import '{path}': module '{module_name}' itself needs '{missing}', which is not installed"
        ) from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        public = [name for name in vars(module) if not name.startswith("_")]
        hint = did_you_mean(attribute, public)
        raise UnknownNameError(
            f"cannot import '{path}': module '{module_name}' has no '{attribute}'{hint}"
        ) from error


@dataclass(frozen=True)
class Entry:
    """One name of a registry.

    Attributes:
        kind: the registry it belongs to, such as ``"net"``.
        name: the name users write.
        target: the factory, or ``"module:attribute"`` to import it from.
        config: its pydantic config model (or ``"module:attribute"``); None when it is derived from the signature.
        family: the family it belongs to (``"amp"``, ``"enhancement"``, …; empty for all).
        summary: one line for ``nam_like list``.
        owner: who registered it.
        takes_dict: the factory wants the raw config as one positional dict (initializer functions of plugins).
        task: for nets: the name of the task that trains it unless the model JSON names one.
    """

    kind: str
    name: str
    target: str | Factory
    config: str | type[Any] | None = None
    family: str = ""
    summary: str = ""
    owner: str = "nam_like"
    takes_dict: bool = False
    task: str = ""

    def load(self) -> Factory:
        """Return the factory, importing it if needed."""
        factory: Factory = import_path(self.target) if isinstance(self.target, str) else self.target
        return factory

    def load_config(self) -> type[Any] | None:
        """Return the config model, importing it if needed; None where there is none."""
        if isinstance(self.config, str):
            model: type[Any] = import_path(self.config)
            return model
        return self.config

    @property
    def target_path(self) -> str:
        """Where the factory lives, for lists and error messages."""
        if isinstance(self.target, str):
            return self.target
        return f"{self.target.__module__}:{getattr(self.target, '__qualname__', repr(self.target))}"


class Registry:
    """The names of one kind of component.

    Args:
        kind: what its entries are, in the singular, as error messages say it.
        namespaces: modules whose attributes may be named bare (``"RAdam"`` for ``torch.optim.RAdam``) although no
            entry lists them.
        supplied: arguments the run passes itself, which therefore no config may hold (``params`` of an optimizer).
    """

    def __init__(self, kind: str, *, namespaces: Sequence[str] = (), supplied: Sequence[str] = ()) -> None:
        self.kind = kind
        self.namespaces = tuple(namespaces)
        self.supplied = frozenset(supplied)
        self._entries: dict[str, Entry] = {
            name: Entry(
                kind,
                name,
                builtin.target,
                builtin.config or None,
                builtin.family,
                builtin.summary,
                task=builtin.task,
            )
            for name, builtin in catalog.BUILTINS.get(kind, {}).items()
        }

    def register(
        self,
        name: str,
        target: str | Factory | None = None,
        *,
        config: str | type[Any] | None = None,
        family: str = "",
        summary: str = "",
        takes_dict: bool = False,
        task: str = "",
        overwrite: bool = False,
    ) -> Any:
        """Add an entry; without `target` it returns a decorator.

        Raises:
            DuplicateNameError: the name is taken and `overwrite` is false.
        """
        if target is None:

            def decorate(factory: Factory) -> Factory:
                self.register(
                    name,
                    factory,
                    config=config,
                    family=family,
                    summary=summary,
                    takes_dict=takes_dict,
                    task=task,
                    overwrite=overwrite,
                )
                return factory

            return decorate
        if name in self._entries and not overwrite:
            first = self._entries[name]
            raise DuplicateNameError(
                f"expected a new name for the {self.kind}, but '{name}' is already registered by {first.owner} "
                f"({first.target_path}); pass overwrite=True to replace it"
            )
        if not summary and not isinstance(target, str):
            summary = (target.__doc__ or "").strip().split("\n")[0]
        self._entries[name] = Entry(
            self.kind, name, target, config, family, summary, _owner.get(), takes_dict, task
        )
        return target

    def unregister(self, name: str) -> None:
        """Remove an entry (tests and interactive sessions undo their registrations with it)."""
        self._entries.pop(name, None)

    def find(self, name: str) -> Entry:
        """Return the entry for a registered name, a bare name of a namespace, or an import path.

        Raises:
            UnknownNameError: with the closest known name and the list of all of them.
        """
        if name in self._entries:
            return self._entries[name]
        if "." in name or ":" in name:
            target = import_path(name)
            if not callable(target):
                raise UnknownNameError(
                    f"expected '{name}' to be a class or function, but got {type(target).__name__}"
                )
            return Entry(self.kind, name, target, getattr(target, "Config", None), owner=name.split(".")[0])
        for namespace in self.namespaces:
            target = getattr(importlib.import_module(namespace), name, None)
            if isinstance(target, type):
                return Entry(self.kind, name, f"{namespace}:{name}", owner=namespace.split(".")[0])
        raise UnknownNameError(
            f"unknown {self.kind} '{name}'{did_you_mean(name, self.names())} "
            f"(available: {', '.join(self.names())}; or an import path such as package.module.Name)"
        )

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._entries)

    def entries(self) -> list[Entry]:
        """All registered entries, sorted by name."""
        return [self._entries[name] for name in self.names()]

    def __contains__(self, name: object) -> bool:
        return name in self._entries


NETS = Registry("net")
ACTIVATIONS = Registry("activation", namespaces=("torch.nn",))
DATASETS = Registry("dataset", supplied=("nx",))
HOOKS = Registry("hook")
LOSSES = Registry("loss")
METRICS = Registry("metric")
OPTIMIZERS = Registry("optimizer", namespaces=("torch.optim",), supplied=("params",))
SCHEDULERS = Registry("lr_scheduler", namespaces=("torch.optim.lr_scheduler",), supplied=("optimizer",))
TASKS = Registry("task")
CALLBACKS = Registry("callback", namespaces=("pytorch_lightning.callbacks",))
LOGGERS = Registry("logger", namespaces=("pytorch_lightning.loggers",))
EXPORTERS = Registry("exporter")

_KINDS = {
    registry.kind: registry
    for registry in (
        NETS,
        ACTIVATIONS,
        DATASETS,
        HOOKS,
        LOSSES,
        METRICS,
        OPTIMIZERS,
        SCHEDULERS,
        TASKS,
        CALLBACKS,
        LOGGERS,
        EXPORTERS,
    )
}


def registry_of(kind: str) -> Registry:
    """Return the registry of a kind.

    Raises:
        UnknownNameError: there is no such kind.
    """
    try:
        return _KINDS[kind]
    except KeyError:
        raise UnknownNameError(
            f"unknown kind of component '{kind}'{did_you_mean(kind, sorted(_KINDS))} "
            f"(available: {', '.join(sorted(_KINDS))})"
        ) from None


def kinds() -> list[str]:
    """The kinds of components there are."""
    return list(_KINDS)
