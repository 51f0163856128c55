"""Third-party modules that other third-party modules name when they are imported, and rarely need.

Lightning imports ``torch._dynamo`` and ``torchmetrics`` to ask ``isinstance(value, OptimizedModule)``, and
pays for it with the compiler, SymPy, SciPy and Matplotlib: seconds, at every start. Here such a module is put
in place unexecuted, as :class:`importlib.util.LazyLoader` does, with one difference: names that are merely
asked about are answered without executing it. Whatever else is asked for executes it, in place, and from then
on it is the ordinary module.

What is answered is exact, not approximate. A class of a module that was never executed has no instances, so
``isinstance`` is False until then and the real answer afterwards. A function that the compiler is told to
leave alone (``disable``) is called as it is while there is no compiler, and as the compiler wants it
afterwards.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any, cast

__all__ = [
    "Answer",
    "DeferredModule",
    "attach",
    "calling",
    "class_of",
    "constant",
    "defer",
    "exempting",
    "telling",
    "withdraw",
]

#: makes what a name of an unexecuted module stands for
Answer = Callable[["DeferredModule", str], Any]


class DeferredModule(ModuleType):
    """A module that is executed when something is asked of it that cannot be answered without.

    Args:
        spec: of the module.
        answers: what can be: name → maker of its stand-in.
        apart: submodules that do not need it; importing them does not execute it.
    """

    def __init__(self, spec: ModuleSpec, answers: Mapping[str, Answer], apart: Sequence[str] = ()) -> None:
        super().__init__(spec.name)
        self.__spec__ = spec
        self.__loader__ = spec.loader
        self.__package__ = spec.parent
        if spec.origin is not None:
            self.__file__ = spec.origin
        if spec.submodule_search_locations is not None:
            self.__path__ = spec.submodule_search_locations
        self.__dict__["_deferred"] = _State(answers, apart)

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__.get("_deferred")
        if state is not None and name in state.answers:
            if name not in state.given:
                state.given[name] = state.answers[name](self, name)
            return state.given[name]
        if name in ("_deferred", "__path__", "__getattr__", "__wrapped__"):
            # What the machinery asks every module, before it asks for anything that this one has.
            raise AttributeError(name)
        return getattr(executed(self), name)


class _State:
    """What is known of a module before it is executed."""

    def __init__(self, answers: Mapping[str, Answer], apart: Sequence[str]) -> None:
        self.answers = dict(answers)
        self.apart = frozenset(apart)
        self.given: dict[str, Any] = {}
        self.lock = threading.RLock()
        self.running = False


def is_executed(module: ModuleType) -> bool:
    """Whether the real module is there; it counts as soon as its execution has begun."""
    state = module.__dict__.get("_deferred")
    return state is None or state.running


def executed(module: ModuleType) -> ModuleType:
    """The module, executed now if it was not yet."""
    state: _State | None = module.__dict__.get("_deferred")
    if state is None:
        return module
    with state.lock:
        if not state.running and "_deferred" in module.__dict__:
            state.running = True
            spec = cast(ModuleSpec, module.__spec__)
            module.__class__ = ModuleType
            try:
                cast(Loader, spec.loader).exec_module(module)
            except BaseException:
                sys.modules.pop(spec.name, None)  # as a failed import does
                raise
            module.__dict__.pop("_deferred", None)
    return module


class _Recognised(type):
    """Metaclass of a class that stands for one of an unexecuted module."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, namespace)
        # Whoever subclasses it means the real one.
        real = tuple(base.real() if isinstance(base, _Recognised) else base for base in bases)
        return type(real[0])(name, real, namespace)

    def real(cls) -> type:
        """The class itself; executes its module."""
        return cast(type, getattr(executed(cls.module), cls.__name__))

    def known(cls) -> type | None:
        """The class itself where its module was executed."""
        found = cls.module.__dict__.get(cls.__name__) if is_executed(cls.module) else None
        return cast("type | None", found)

    module: ModuleType

    def __instancecheck__(cls, instance: Any) -> bool:
        known = cls.known()
        return known is not None and isinstance(instance, known)

    def __subclasscheck__(cls, subclass: type) -> bool:
        known = cls.known()
        return subclass is cls or (known is not None and issubclass(subclass, known))

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.real()(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(cls.real(), name)


def class_of(module: DeferredModule, name: str) -> Any:
    """A class that is named in ``isinstance`` and annotations."""
    return _Recognised(name, (), {"module": module, "__module__": module.__name__})


def exempting(module: DeferredModule, name: str) -> Any:
    """A decorator with which functions are exempted from what the module would do to them."""

    def exempt(function: Any = None, *args: Any, **kwargs: Any) -> Any:
        def real(target: Any) -> Any:
            return getattr(executed(module), name)(target, *args, **kwargs)

        if not isinstance(function, FunctionType):
            return real(function)
        made: list[Any] = []

        @functools.wraps(function)
        def call(*values: Any, **named: Any) -> Any:
            if not is_executed(module):
                return function(*values, **named)
            if not made:
                made.append(real(function))
            return made[0](*values, **named)

        return call

    return exempt


def constant(make: Callable[[], Any]) -> Answer:
    """A value that is known without the module."""
    return lambda module, name: make()


def telling(module: DeferredModule, name: str) -> Any:
    """A function that tells the module something, which means nothing to one that does not run."""

    def tell(*args: Any, **kwargs: Any) -> Any:
        return getattr(module, name)(*args, **kwargs) if is_executed(module) else None

    return tell


def calling(module: DeferredModule, name: str) -> Any:
    """A function that is called later, if at all."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(executed(module), name)(*args, **kwargs)

    return call


class _Finder(MetaPathFinder):
    """Executes a deferred package before one of its submodules is looked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a submodule that came with its package; None leaves the search to others."""
        parent = fullname.rpartition(".")[0]
        package = sys.modules.get(parent) if parent in self.names else None
        if package is None or is_executed(package) or fullname in package.__dict__["_deferred"].apart:
            return None
        executed(package)
        present = sys.modules.get(fullname)
        if present is None:
            return None
        spec = ModuleSpec(fullname, _Present(present))
        # The machinery goes by the spec of the module that has appeared meanwhile; some guard `setattr`.
        vars(present)["__spec__"] = spec
        return spec


class _Present(Loader):
    """Loads a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module that is there."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it is."""
        vars(module)["__spec__"] = self.spec


_finder = _Finder()


def defer(name: str, answers: Mapping[str, Answer], apart: Sequence[str] = ()) -> bool:
    """Put a module in place unexecuted, unless it was imported before or there is none.

    Args:
        name: of the module.
        answers: the names that can be answered without executing it.
        apart: full names of submodules that do not need it.

    Returns:
        Whether it is deferred now.
    """
    if name in sys.modules:
        return False
    spec = _find(name)
    if spec is None or spec.loader is None or not hasattr(spec.loader, "exec_module"):
        return False
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _finder.names.add(name)
    module = DeferredModule(spec, answers, apart)
    sys.modules[name] = module
    attach()
    return True


def attach() -> None:
    """Let packages have their deferred submodules as attributes, as an import of them would."""
    for name in _finder.names:
        parent, _, child = name.rpartition(".")
        if name in sys.modules and parent in sys.modules:
            sys.modules[parent].__dict__.setdefault(child, sys.modules[name])


def withdraw(*packages: str) -> None:
    """Forget packages with all their modules, and what was deferred, so that they can be imported anew."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages or (name in _finder.names and not is_executed(module)):
            del sys.modules[name]
            parent, _, child = name.rpartition(".")
            holder = sys.modules.get(parent)
            if holder is not None and holder.__dict__.get(child) is module:
                delattr(holder, child)
    _finder.names.clear()


def _find(name: str) -> ModuleSpec | None:
    """The spec of a module; unlike ``importlib.util.find_spec`` it does not import its packages."""
    parent = name.rpartition(".")[0]
    if not parent:
        return importlib.util.find_spec(name)
    if parent in sys.modules:
        path = getattr(sys.modules[parent], "__path__", None)
    else:
        found = _find(parent)
        path = None if found is None else found.submodule_search_locations
    return None if path is None else PathFinder.find_spec(name, path)
