"""Runs the tests of `interpreted/` in a process whose Triton interprets its kernels on the CPU.

The interpreter must be chosen before Triton is imported, and other tests import it too.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "interpreted"
FILES = sorted(path.name for path in FOLDER.glob("test_*.py"))
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="triton is not installed (extra: nam_like[gpu])"
)


def run(*arguments):
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=FOLDER.parents[2].parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


def test_interpreted():
    assert " passed" in run(*(str(FOLDER / name) for name in FILES))


@pytest.mark.slow
def test_interpreted_slow():
    assert " passed" in run("-m", "slow", *(str(FOLDER / name) for name in FILES))
