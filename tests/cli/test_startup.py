"""What the command lines import before they know that they need it, and how fast they answer."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "numpy", "scipy", "matplotlib", "pytorch_lightning", "lightning_fabric", "pydantic", "rich")


def modules_after(code: str, tmp_path: Path) -> set[str]:
    """Heavy packages that a fresh interpreter has imported after `code`."""
    report = f"\nimport sys\nprint('LOADED', *[name for name in {HEAVY!r} if name in sys.modules])"
    environment = {**os.environ, "HOME": str(tmp_path), "NAM_LIKE_EXTENSIONS": ""}
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, env=environment, check=True
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize(
    "module",
    [
        "nam_like",
        "nam_like.cli.main",
        "nam_like.cli.full",
        "nam_like.registry",
        "nam_like.config.reading",
        "nam_like.extensions",
        "nam_like.presets",
        "nam_like.startup",
    ],
)
def test_importing_is_light(module: str, tmp_path: Path) -> None:
    assert modules_after(f"import {module}", tmp_path) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["list", "net", "--json"],
        ["schema", "model"],
        ["init", "--list"],
        ["enhance", "--help"],
        ["slurm", "--help"],
    ],
)
def test_answering_is_light(arguments: list[str], tmp_path: Path) -> None:
    code = f"""
from nam_like.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
"""
    assert modules_after(code, tmp_path) == set()


@pytest.mark.parametrize(
    "arguments", [["render", "--help"], ["info", "no.nam"], ["signal", "x.wav", "--rate", "1"]]
)
def test_commands_on_nam_files_and_audio_need_no_torch(arguments: list[str], tmp_path: Path) -> None:
    code = f"""
from nam_like.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
"""
    assert not {"torch", "pytorch_lightning"} & modules_after(code, tmp_path)


def test_a_misspelt_key_is_told_without_any_library(tmp_path: Path) -> None:
    for name in ("data", "model"):
        (tmp_path / f"{name}.json").write_text("{}")
    (tmp_path / "learning.json").write_text('{"trainer": {"max_epocs": 1}}')
    arguments = [str(tmp_path / f"{name}.json") for name in ("data", "model", "learning")]
    code = f"""
import threading
from nam_like.cli.full import main
assert main({[*arguments, str(tmp_path / "out")]!r}) == 2
assert threading.active_count() == 1
"""
    assert modules_after(code, tmp_path) == set()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("program", ["nam_like.cli.main", "nam_like.cli.full"])
def test_help_answers_at_once(program: str) -> None:
    """In processor time, which does not depend on what else the machine does."""
    code = f"from {program} import main; main(['--help'])"
    assert min(_seconds([sys.executable, "-c", code]) for _ in range(5)) < 0.15


def _seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
