"""What a start does at a better time: variables, the garbage collector, PyTorch's library."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nam_like import startup


def test_variables_are_set_unless_they_are(monkeypatch):
    monkeypatch.setattr(os, "environ", {"GOMP_SPINCOUNT": "7"})
    startup.set_variables()
    assert os.environ == {"GOMP_SPINCOUNT": "7", "THP_MEM_ALLOC_ENABLE": "1"}


def test_the_collector_rests_and_wakes_again():
    before = gc.get_freeze_count()
    try:
        with startup.collector_resting():
            assert not gc.isenabled()
            cycle = []
            cycle.append(cycle)
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()


def test_the_collector_wakes_after_an_error():
    with pytest.raises(ValueError, match="wrong"), startup.collector_resting():
        raise ValueError("wrong")
    assert gc.isenabled()


def test_a_collector_that_was_switched_off_stays_off():
    gc.disable()
    try:
        with startup.collector_resting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


CODE = """
import os, sys
from pathlib import Path
from nam_like.startup import load_torch_library
thread = load_torch_library()
mapped = lambda: "libtorch_cpu.so" in Path("/proc/self/maps").read_text()
thread.join()
assert mapped() and "torch" not in sys.modules
import torch
assert load_torch_library() is None
# The very same library: two would register every operator twice, which ends the process.
lines = [line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()]
assert len({line for line in lines if line.endswith("/libtorch_cpu.so")}) == 1
print(float(torch.ones(3).sum()))
"""


def cpu_build():
    folder = startup._library_folder()
    return sys.platform == "linux" and folder is not None and not (folder / "libtorch_cuda.so").exists()


@pytest.mark.skipif(not cpu_build(), reason="done on Linux, for PyTorch without CUDA")
def test_the_import_finds_the_library_loaded():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "3.0", "")


def test_a_library_that_cannot_be_loaded_is_left_to_the_import(tmp_path: Path):
    broken = tmp_path / "libbroken.so"
    broken.write_bytes(b"no library")
    startup._load(broken, broken)  # says nothing


@pytest.mark.parametrize("present", [(), ("libtorch_cpu.so",), ("libtorch_cuda.so",)])
def test_only_a_torch_without_cuda_is_loaded(present, tmp_path, monkeypatch):
    for name in present:
        (tmp_path / name).touch()
    if "libtorch_cuda.so" in present:
        for name in ("libtorch_cpu.so", "libtorch_global_deps.so"):
            (tmp_path / name).touch()
    monkeypatch.setattr(startup, "_library_folder", lambda: tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert startup.load_torch_library() is None
