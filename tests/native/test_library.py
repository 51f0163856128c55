"""Finding, choosing and describing the native kernels."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nam_like.errors import UserError
from nam_like.native import library

needs_library = pytest.mark.skipif(library.load() is None, reason=library.status())


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that takes the place of the one with the built library."""
    monkeypatch.setattr(library, "__file__", str(tmp_path / "library.py"))
    for cache in (library._open, library._load):
        cache.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    for cache in (library._open, library._load):
        cache.cache_clear()


def test_without_a_build_everything_runs_on_pytorch_and_says_why(nowhere: Path) -> None:
    assert library.load() is None
    assert "not built" in library.status()
    assert library.peak_flops() is None


def test_asking_for_kernels_that_are_not_there_is_an_error(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(library.VARIABLE, "avx2")
    with pytest.raises(UserError, match=r"NAM_LIKE_NATIVE=avx2, but they were not built"):
        library.load()


def test_a_file_that_is_no_library_is_told(nowhere: Path) -> None:
    (nowhere / "_kernels.so").write_bytes(b"not a library")
    assert library.load() is None
    assert "_kernels.so cannot be loaded" in library.status()


@needs_library
def test_a_build_of_another_version_is_refused(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = sorted(Path(library.__spec__.origin or "").parent.glob("_kernels*"))[0]
    (nowhere / built.name).symlink_to(built)
    monkeypatch.setattr(library, "ABI_VERSION", library.ABI_VERSION + 1)
    assert library.load() is None
    assert "another version" in library.status()


def test_an_unknown_choice_names_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.VARIABLE, "sse9")
    with pytest.raises(UserError, match=r"one of auto, avx512, avx2, neon, portable, off, but got 'sse9'"):
        library.load()


def test_off_is_off_and_comes_back() -> None:
    before = library.status()
    with library.using("off") as loaded:
        assert loaded is None
        assert library.status() == "native kernels: off ($NAM_LIKE_NATIVE)"
    assert library.status() == before


@needs_library
def test_every_instruction_set_of_the_processor_can_be_chosen() -> None:
    loaded = library.load()
    assert loaded is not None
    for isa in library.available(loaded):
        with library.using(isa) as chosen:
            assert chosen is not None
            assert chosen.isa == isa
            assert library.status() == f"native kernels: {isa}"


@needs_library
def test_an_instruction_set_that_the_processor_lacks_is_refused() -> None:
    loaded = library.load()
    assert loaded is not None
    absent = next(name for name in ("neon", "avx512", "avx2") if name not in library.available(loaded))
    with pytest.raises(UserError, match=f"this machine .*, but got '{absent}'"):
        loaded.choose(absent)


@needs_library
def test_buffers_are_used_again() -> None:
    """The address of a buffer that was given back comes again for the same size, and memory does not grow."""
    from nam_like.native import wavenet

    tanh = wavenet.ActivationSpec("Tanh")
    array = wavenet.ArraySpec(1, 4, 4, 4, 1, 1, False, False, (wavenet.LayerSpec(3, 1, tanh),))
    made = wavenet.plan(wavenet.NetSpec(1, 1, True, (array,)))
    assert made is not None
    weights = [torch.ones(shape).requires_grad_() for shape in made.shapes]
    addresses = []
    for _ in range(3):
        y = wavenet.play(made, torch.ones(2, 1, 5000), None, weights)
        addresses.append(y.grad_fn.kept.address)
        del y
    assert len(set(addresses)) == 1


@needs_library
def test_the_peak_is_that_of_a_processor() -> None:
    peak = library.peak_flops(1, 0.02)
    assert peak is not None
    assert 1e8 < peak < 1e13


@needs_library
def test_the_library_needs_no_python_and_no_torch() -> None:
    """It is loaded in a process without either, so that one build serves all versions of both."""
    loaded = library.load()
    assert loaded is not None
    code = f"import ctypes, sys; ctypes.CDLL({str(loaded.path)!r}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert isinstance(loaded.handle, ctypes.CDLL)
