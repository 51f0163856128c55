"""These tests run in a process of their own where Triton interprets its kernels; see test_interpreted.py."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
if os.environ.get("TRITON_INTERPRET") != "1" or importlib.util.find_spec("triton") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session", autouse=True)
def _quick_interpreter():
    """The interpreter patches Triton's module anew for every call of a function; once is enough."""
    import torch
    import triton.runtime.interpreter as interpreter

    torch.set_num_threads(1)
    original = interpreter._patch_lang
    patched = set()

    class Kept:
        def restore(self):
            pass

    def once(function):
        if id(function.__globals__) not in patched:
            patched.add(id(function.__globals__))
            original(function)
        return Kept()

    interpreter._patch_lang = once
    interpreter.interpreter_builder.options = interpreter.InterpreterOptions(sanitize_overflow=False)


@pytest.fixture(autouse=True)
def _small_programs(monkeypatch):
    """Little work per program, so that short signals are cut into several."""
    import numpy as np
    import torch

    from nam_like.native.gpu import blocking

    torch.manual_seed(0)
    monkeypatch.setattr(blocking, "tile", lambda lanes: 32)
    monkeypatch.setattr(blocking, "tile_of_sums", lambda: 16)
    monkeypatch.setattr(blocking, "CORRELATIONS", 16)
    with np.errstate(over="ignore", invalid="ignore"):  # as on the device: an exponential may overflow
        yield
