"""What makes a command that trains start sooner: nothing is left out, it is only done at a better time.

Most of a start is ``import torch``, on one core. The system's linker needs a third of a second of it to load
the library, and does that as well in a thread of its own, while the JSONs are checked. The garbage collector
looks for garbage among the million objects that the imports make, again and again, and finds none.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["collector_resting", "load_torch_library", "set_variables"]

log = logging.getLogger(__name__)

#: Read by libraries when they are loaded; who sets them otherwise is not overruled.
VARIABLES = {
    # PyTorch's threads wait for each other by spinning. While something else wants a core, that makes
    # training up to twenty times slower; spinning for microseconds costs nothing.
    "GOMP_SPINCOUNT": "1000",
    # Large tensors in huge pages: the system hands out 2 MiB in the time of two pages of 4 KiB.
    "THP_MEM_ALLOC_ENABLE": "1",
}
#: Modules that load libraries of their own before PyTorch is imported: while the linker is at work, they
#: would have to wait for it. So would the first use of pydantic's core: it registers what its threads keep.
LOADERS = ("pydantic.types", "decimal", "json", "uuid", "zoneinfo", "pickle", "fcntl", "subprocess")


def set_variables() -> None:
    """Set :data:`VARIABLES` where they are not set; before PyTorch is imported."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)


@contextmanager
def collector_resting() -> Iterator[None]:
    """Collect no garbage inside the block; what was made there is never looked at again.

    What modules hold lives as long as the process. The reference counts still free everything else.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def load_torch_library() -> threading.Thread | None:
    """Let the linker load PyTorch's library in a thread; ``import torch`` finds it loaded.

    Only on Linux, where the linker waits for no lock of Python's, and for a PyTorch without CUDA, whose
    libraries have to be found first.

    Returns:
        The thread; None where there is nothing to do.
    """
    if sys.platform != "linux" or "torch" in sys.modules:
        return None
    folder = _library_folder()
    if folder is None or (folder / "libtorch_cuda.so").exists() or (folder / "libtorch_hip.so").exists():
        return None
    paths = [folder / "libtorch_global_deps.so", folder / "libtorch_cpu.so"]
    if not all(path.is_file() for path in paths):
        return None
    for name in LOADERS:
        importlib.import_module(name)
    # Not a daemon: a process that ends must not pull the library away from under the linker.
    thread = threading.Thread(target=_load, args=paths, name="nam_like linker")
    thread.start()
    return thread


def _library_folder() -> Path | None:
    """Where PyTorch's libraries are; it is not imported to find out."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / "lib"


def _load(dependencies: Path, library: Path) -> None:
    """Load both as ``import torch`` does: the first for all to see, the second for itself."""
    try:
        # Python's own way (`ctypes.CDLL(path)`) keeps its lock while the linker works; a call does not.
        dlopen = ctypes.CDLL(None).dlopen
        dlopen.restype, dlopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
        loaded = dlopen(os.fsencode(dependencies), os.RTLD_NOW | os.RTLD_GLOBAL)
        loaded = loaded and dlopen(os.fsencode(library), os.RTLD_NOW)
        if not loaded:
            log.debug("%s could not be loaded ahead of time", library)
    except (OSError, AttributeError) as error:  # the import will say what is wrong, if anything is
        log.debug("libraries could not be loaded ahead of time: %r", error)
