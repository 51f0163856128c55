"""Find, load and describe the shared library of native kernels.

``$NAM_LIKE_NATIVE`` chooses: ``auto`` (default), ``avx512``, ``avx2``, ``neon``, ``portable``, or ``off``.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nam_like.errors import UserError

__all__ = ["CHOICES", "Library", "load", "peak_flops", "status", "using"]

log = logging.getLogger(__name__)

VARIABLE = "NAM_LIKE_NATIVE"
CHOICES = ("auto", "avx512", "avx2", "neon", "portable", "off")
#: What `NAM_ABI_VERSION` in csrc/api.h must be.
ABI_VERSION = 5


@dataclass(frozen=True)
class Library:
    """The loaded library.

    Attributes:
        handle: the library; each module that calls a function of it declares the argument types.
        path: its file.
    """

    handle: ctypes.CDLL
    path: Path

    @property
    def isa(self) -> str:
        """The instruction set in use: ``avx512``, ``avx2``, ``neon`` or ``portable``."""
        name: bytes = self.handle.nam_isa()
        return name.decode()

    def choose(self, isa: str) -> None:
        """Use an instruction set, or the best one for ``auto``.

        Raises:
            UserError: this processor or this build does not have it.
        """
        if self.handle.nam_set_isa(isa.encode()) != 0:
            raise UserError(
                f"expected ${VARIABLE} to name an instruction set of this machine "
                f"({', '.join(available(self))}), but got '{isa}'"
            )


def available(library: Library) -> list[str]:
    """The instruction sets that this build and this processor have."""
    kept = library.isa
    found = [
        name
        for name in CHOICES
        if name not in ("auto", "off") and library.handle.nam_set_isa(name.encode()) == 0
    ]
    library.handle.nam_set_isa(kept.encode())
    return found


def wanted() -> str:
    """The value of ``$NAM_LIKE_NATIVE``.

    Raises:
        UserError: it is none of the choices.
    """
    value = os.environ.get(VARIABLE, "auto").strip().lower() or "auto"
    if value not in CHOICES:
        raise UserError(f"expected ${VARIABLE} to be one of {', '.join(CHOICES)}, but got '{value}'")
    return value


def load() -> Library | None:
    """The library, or None where it is switched off, was not built or cannot be loaded.

    Raises:
        UserError: ``$NAM_LIKE_NATIVE`` asks for what is not there.
    """
    return _load(wanted())


@functools.cache
def _load(choice: str) -> Library | None:
    if choice == "off":
        return None
    library, problem = _open()
    if library is None:
        if choice != "auto":
            raise UserError(f"expected native kernels for ${VARIABLE}={choice}, but {problem}")
        return None
    library.choose(choice)
    return library


@functools.cache
def _open() -> tuple[Library | None, str]:
    """The library with the best instruction set chosen, or the reason why there is none."""
    files = sorted(
        path for path in Path(__file__).parent.glob("_kernels*") if path.suffix in (".so", ".dylib", ".pyd")
    )
    if not files:
        return None, "they were not built (no C++ compiler at installation)"
    try:
        handle = ctypes.CDLL(str(files[0]))
        handle.nam_abi_version.restype = ctypes.c_int
        version = handle.nam_abi_version()
    except (OSError, AttributeError) as error:
        return None, f"{files[0].name} cannot be loaded ({error})"
    if version != ABI_VERSION:
        return None, f"{files[0].name} is from another version of nam_like (install it again)"
    handle.nam_isa.restype = ctypes.c_char_p
    handle.nam_set_isa.restype = ctypes.c_int
    handle.nam_set_isa.argtypes = [ctypes.c_char_p]
    handle.nam_peak_flops.restype = ctypes.c_double
    handle.nam_peak_flops.argtypes = [ctypes.c_int, ctypes.c_double]
    handle.nam_give_buffer.restype = None
    handle.nam_give_buffer.argtypes = [ctypes.c_void_p]
    for name, result in (
        ("nam_drop_free_buffers", None),
        ("nam_watch_buffers", None),
        ("nam_most_buffer_bytes", ctypes.c_int64),
    ):
        getattr(handle, name).restype, getattr(handle, name).argtypes = result, []
    return Library(handle, files[0]), ""


class using:  # noqa: N801 (reads like a function, as contextlib's do)
    """Context in which another choice holds: ``with using("off"): …``."""

    def __init__(self, choice: str) -> None:
        self.choice = choice
        self.before: str | None = None

    def __enter__(self) -> Library | None:
        self.before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = self.choice
        library = load()
        if library is not None:
            library.choose(self.choice)
        return library

    def __exit__(self, *_: object) -> None:
        if self.before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = self.before
        library = load()
        if library is not None:
            library.choose(wanted())


def status() -> str:
    """One line for logs: which instruction set runs, or why none does."""
    if wanted() == "off":
        return f"native kernels: off (${VARIABLE})"
    library = load()
    if library is None:
        return f"native kernels: none, because {_open()[1]}; running on PyTorch"
    return f"native kernels: {library.isa}"


def most_bytes(call: Callable[[], object]) -> int:
    """How many bytes of working memory the kernels hold at once while `call` runs; 0 without them."""
    library = load()
    if library is None:
        call()
        return 0
    library.handle.nam_watch_buffers()
    before = int(library.handle.nam_most_buffer_bytes())
    call()
    return int(library.handle.nam_most_buffer_bytes()) - before


def peak_flops(threads: int = 1, seconds: float = 0.2) -> float | None:
    """Float32 operations per second of a loop of multiply-adds on registers; None without the library."""
    library = load()
    return None if library is None else float(library.handle.nam_peak_flops(threads, seconds))
