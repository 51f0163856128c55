"""Registries: a name, or an import path, becomes a factory and its config model.

There is one :class:`Registry` per kind of component (net, dataset, loss, …). Built-in names come from
:mod:`nam_like.catalog`, which holds strings only, so that listing them imports nothing; a target is imported
when it is first used. Extensions add their own entries with :meth:`Registry.register`.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from nam_like import catalog
from nam_like.errors import UserError
from nam_like.imports import UnknownNameError, closest, did_you_mean, import_path

__all__ = [
    "MEASURES",
    "OWNER",
    "DuplicateNameError",
    "Entry",
    "Registry",
    "UnknownNameError",
    "closest",
    "did_you_mean",
    "import_path",
    "note_failed_owner",
    "owned_by",
    "registry_of",
]

Factory = Callable[..., Any]

#: Who registers what is built in.
OWNER = "nam_like"
#: What the base of all tasks measures.
MEASURES = ("mse", "esr")

_owner: ContextVar[str] = ContextVar("owner", default="the running program")


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


@dataclass(frozen=True)
class _FailedOwner:
    problem: str
    text: str


_failed_owners: dict[str, _FailedOwner] = {}


def note_failed_owner(owner: str, problem: str, text: str) -> None:
    """Remember an extension that could not register its entries, for the messages about names then unknown.

    Args:
        owner: the extension's path.
        problem: why it failed, in one line.
        text: its source code; it is mentioned only for names that occur there.
    """
    _failed_owners[owner] = _FailedOwner(problem, text)


def _who_failed(name: str) -> str:
    """The failed extensions that speak of `name`, as a clause to append; usually empty."""
    return "".join(
        f"; the extension {owner}, which mentions '{name}', could not be loaded: {failed.problem}"
        for owner, failed in _failed_owners.items()
        if re.search(rf"\b{re.escape(name)}\b", failed.text)
    )


@dataclass(frozen=True)
class Entry:
    """One name of a registry.

    Attributes:
        kind: the registry it belongs to, such as ``"net"``.
        name: the name users write.
        target: the factory, or ``"module:attribute"`` to import it from.
        config: its pydantic config model (or ``"module:attribute"``); None when it is derived from the
            signature.
        family: the family it belongs to (``"amp"``, ``"enhancement"``, …; empty for all).
        summary: one line for ``nam_like list``.
        owner: who registered it.
        takes_dict: the factory wants the raw config as one positional dict (initializer functions of
            plugins).
        task: for nets: the name of the task that trains it unless the model JSON names one.
        measures: for tasks: what they measure in validation whatever the loss, as ``val_loss`` names it; in
            capitals it is logged.
    """

    kind: str
    name: str
    target: str | Factory
    config: str | type[Any] | None = None
    family: str = ""
    summary: str = ""
    owner: str = OWNER
    takes_dict: bool = False
    task: str = ""
    measures: tuple[str, ...] = MEASURES

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
        namespaces: modules whose attributes may be named bare (``"RAdam"`` for ``torch.optim.RAdam``)
            although no entry lists them.
        supplied: arguments the run passes itself, which therefore no config may hold (``params`` of an
            optimizer).
        bounds: smallest values of arguments, for config models derived from signatures: ``{"lr": (">", 0)}``.
        stands_for: package whose classes are meant by their names here: an import path into it finds the
            entry of the same name, where there is one.
    """

    def __init__(
        self,
        kind: str,
        *,
        namespaces: Sequence[str] = (),
        supplied: Sequence[str] = (),
        bounds: Mapping[str, tuple[str, float]] | None = None,
        stands_for: str = "",
    ) -> None:
        self.kind = kind
        self.stands_for = stands_for
        self.namespaces = tuple(namespaces)
        self.supplied = frozenset(supplied)
        self.bounds = dict(bounds or {})
        self._entries: dict[str, Entry] = {
            name: Entry(
                kind,
                name,
                builtin.target,
                builtin.config or None,
                builtin.family,
                builtin.summary,
                task=builtin.task,
                measures=builtin.measures,
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
                f"expected a new name for the {self.kind}, but '{name}' is already registered by "
                f"{first.owner} ({first.target_path}); pass overwrite=True to replace it"
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
        package, _, own = name.replace(":", ".").rpartition(".")
        if self.stands_for and package.split(".")[0] == self.stands_for and own in self._entries:
            return self._entries[own]
        if "." in name or ":" in name:
            target = import_path(name)
            if not callable(target):
                raise UnknownNameError(
                    f"expected '{name}' to be a class or function, but got {type(target).__name__}"
                )
            return self._imported(name, target)
        for namespace in self.namespaces:
            target = getattr(importlib.import_module(namespace), name, None)
            if isinstance(target, type) and target.__module__.startswith(namespace):
                return Entry(self.kind, name, f"{namespace}:{name}", owner=namespace.split(".")[0])
        raise UnknownNameError(
            f"unknown {self.kind} '{name}'{_who_failed(name) or did_you_mean(name, self.names())} "
            f"(available: {', '.join(self.names())}; or an import path such as package.module.Name)"
        )

    def _imported(self, name: str, target: Factory) -> Entry:
        """The entry of an import path, whose config model is ``X.Config`` or the ``XConfig`` beside it.

        A class with an ``init_from_config`` of its own gets the raw dict, and so does a function of one
        argument called ``…config…``.
        """
        owner = name.split(".", maxsplit=1)[0]
        beside = getattr(inspect.getmodule(target), f"{getattr(target, '__name__', '')}Config", None)
        for config in (getattr(target, "Config", None), getattr(target, "config_model", None), beside):
            if isinstance(config, type) and hasattr(config, "model_validate"):
                return Entry(self.kind, name, target, config, owner=owner)
        initializer = getattr(target, "init_from_config", None)
        if initializer is not None and not initializer.__module__.startswith("nam_like."):
            return Entry(self.kind, name, initializer, owner=owner, takes_dict=True)
        takes_dict = False
        if not isinstance(target, type):
            try:
                parameters = list(inspect.signature(target).parameters)
            except (ValueError, TypeError):
                parameters = []
            takes_dict = len(parameters) == 1 and "config" in parameters[0]
        return Entry(self.kind, name, target, owner=owner, takes_dict=takes_dict)

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
METRICS = Registry("metric", stands_for="torchmetrics")
OPTIMIZERS = Registry(
    "optimizer",
    namespaces=("torch.optim",),
    supplied=("params",),
    bounds={"lr": (">", 0), "weight_decay": (">=", 0), "eps": (">=", 0), "momentum": (">=", 0)},
)
SCHEDULERS = Registry(
    "lr_scheduler",
    namespaces=("torch.optim.lr_scheduler",),
    supplied=("optimizer",),
    bounds={"gamma": (">", 0), "factor": (">", 0), "step_size": (">=", 1), "T_max": (">=", 1)},
)
TASKS = Registry("task")
#: the task of nets that name none
DEFAULT_TASK = "regression"
CALLBACKS = Registry(
    "callback",
    namespaces=("pytorch_lightning.callbacks",),
    bounds={"patience": (">=", 0), "save_top_k": (">=", -1), "every_n_epochs": (">=", 0)},
)
LOGGERS = Registry("logger", namespaces=("pytorch_lightning.loggers",), supplied=("save_dir",))
EXPORTERS = Registry("exporter")
TRANSFORMS = Registry("transform")
ESTIMATORS = Registry("estimator")
MASK_PROCESSORS = Registry("mask_processor")
PROCESSES = Registry("process")
SAMPLERS = Registry("sampler")
AUGMENTATIONS = Registry("augmentation")

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
        TRANSFORMS,
        ESTIMATORS,
        MASK_PROCESSORS,
        PROCESSES,
        SAMPLERS,
        AUGMENTATIONS,
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
