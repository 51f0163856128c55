"""`nam_like slurm`: the files are checked first; the script runs what was checked; sbatch takes it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done

Cli = Callable[..., Done]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three JSONs; the recordings that they name are looked for only when a run begins."""
    contents = {
        "data": {
            "common": {"x_path": "x.wav", "y_path": "y.wav"},
            "train": {"ny": 512},
            "validation": {"ny": None},
        },
        "model": {"net": {"name": "LSTM", "config": {"hidden_size": 2}}, "optimizer": {"lr": 0.01}},
        "learning": {
            "trainer": {"max_epochs": 3},
            "train_dataloader": {"batch_size": 4, "num_workers": 3},
        },
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return [tmp_path / f"{name}.json" for name in contents]


def command_of(script: str) -> list[str]:
    """The words behind srun."""
    start = script.index("srun ")
    return shlex.split(script[start : script.index('"${resume[@]}"')].replace("\\\n", " "))


def test_the_script_runs_what_was_checked(cli: Cli, tmp_path: Path, files: list[Path]) -> None:
    out = tmp_path / "out"
    done = cli(
        "slurm", *files, out, "--nodes", 2, "--gpus-per-node", 4, "--set", "learning.trainer.max_epochs=9"
    )
    assert done.code == 0, done.err
    script = out / "slurm" / "out.sbatch"
    assert f"submit it with: sbatch {script}" in done.out
    text = script.read_text()
    assert "#SBATCH --cpus-per-task=4" in text  # a core for each of the loader's three workers, and one
    words = command_of(text)
    assert words == [
        "srun",
        "--cpus-per-task=4",
        "--kill-on-bad-exit=1",
        sys.executable,
        "-m",
        "nam_like",
        "train",
        *(str(path) for path in files),
        str(out),
        "--no-show",
        "--set",
        "learning.trainer.max_epochs=9",
        "--set",
        "learning.trainer.accelerator=gpu",
        "--set",
        "learning.trainer.devices=4",
        "--set",
        "learning.trainer.num_nodes=2",
        "--set",
        "learning.trainer.strategy=ddp",
    ]


def test_mistakes_write_nothing(
    cli: Cli, tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    out = tmp_path / "out"
    for options, message in (
        (["--time", "soon"], "expected `--time`"),
        (["--submit"], "expected SLURM's command `sbatch`"),
        (["--set", "learning.trainer.max_epocs=9"], "max_epochs"),
        (["--set", "model.optimizer.lr=-1"], "lr"),
    ):
        done = cli("slurm", *files, out, *options)
        assert done.code == 2
        assert message in done.err
    files[0].unlink()
    assert cli("slurm", *files, out).code == 2
    assert not out.exists()


def test_submitting(cli: Cli, tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    sbatch = tmp_path / "bin" / "sbatch"
    sbatch.parent.mkdir()
    monkeypatch.setenv("PATH", f"{sbatch.parent}:/usr/bin:/bin")
    for body, code in (("echo 77", 0), ("echo 'no such account' >&2; exit 1", 1)):
        sbatch.write_text(f"#!/bin/sh\n{body}\n")
        sbatch.chmod(0o755)
        done = cli("slurm", *files, tmp_path / "out", "--gpus-per-node", 0, "--name", "mine", "--submit")
        assert done.code == code, done.err
        if code == 0:
            assert f"submitted as job 77; its log will be {tmp_path}/out/slurm/mine_77.log" in done.out
        else:
            assert "sbatch refused" in done.err
            assert "no such account" in done.err
