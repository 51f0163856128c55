"""Freed memory stays with the process: the next allocations of its size do not fault."""

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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_allocations_of_a_step_do_not_fault():
    assert faults(True) < 100 < faults(False)
