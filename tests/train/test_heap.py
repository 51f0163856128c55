"""Freed memory stays with the process: the next allocations of its size do not fault."""

import os
import platform
import subprocess
import sys

import pytest

CODE = """
import resource, torch
from nam_like.train.heap import keep_freed_memory
assert KEEP is False or keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [torch.ones(16, 8192) for _ in range(20)]
    del parts
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for _ in range(3):
    faults()
print(sum(faults() for _ in range(10)))
"""


def faults(keep):
    code = CODE.replace("KEEP", str(keep))
    # Left alone, the library adapts its thresholds to what was freed before, which differs from run to run.
    fixed = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | fixed
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_allocations_of_a_step_do_not_fault():
    assert faults(True) < 100 < faults(False)
