"""Tests of the GPU kernels run in Triton's interpreter, which must be chosen before Triton is imported."""

import importlib.util
import os

import pytest

if importlib.util.find_spec("triton") is None:
    collect_ignore_glob = ["test_kernels*.py"]
