"""``nam_full`` and ``nam_like check``: from three files to a model, or to an explanation."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import Done
from tests.conftest import Run

Cli = Callable[..., Done]


def run_folder(run: Run) -> Path:
    return (run.folder / "out" / "latest").resolve()


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_three_files_give_a_model_that_plays_as_it_trained(cli: Cli, tiny_run: Run) -> None:
    done = cli(*tiny_run.write(), "--no-show", full=True)
    assert done.code == 0, done.err
    folder = run_folder(tiny_run)
    expected = {"model.nam", "model.ts", "comparison.png", "spectrogram.png", "curves.png", "report.html"}
    assert expected <= {path.name for path in folder.iterdir()}
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert record["status"] == "finished"

    # The exported file, played without torch by another program path, has the ESR that training reported.
    region = ("--start", 72_000)  # of the validation split
    result = json.loads(
        cli(
            "eval",
            folder / "model.nam",
            tiny_run.folder / "x.wav",
            tiny_run.folder / "y.wav",
            *region,
            "--json",
        ).out
    )
    assert result["esr"] == pytest.approx(record["best"]["metrics"]["ESR"], rel=0.02)


def test_no_plots_makes_none_and_quiet_says_only_the_result(cli: Cli, tiny_run: Run) -> None:
    done = cli(*tiny_run.write(), "-ns", "-np", "--quiet", full=True)
    assert done.code == 0
    assert not list(run_folder(tiny_run).glob("*.png"))
    assert not (run_folder(tiny_run) / "report.html").exists()
    assert "epoch" not in done.err


def test_resume_continues_to_the_same_result(cli: Cli, tiny_run: Run) -> None:
    whole = tiny_run.write()
    assert cli(*whole, "-np", full=True).code == 0
    expected = (run_folder(tiny_run) / "model.nam").read_bytes()
    *files, _ = whole
    parts = tiny_run.folder / "parts"
    assert cli(*files, parts, "-np", "--set", "learning.trainer.max_epochs=1", full=True).code == 0
    assert cli(*files, parts, "-np", "--resume", full=True).code == 0
    resumed = (parts / "latest").resolve() / "model.nam"
    assert json.loads(resumed.read_text())["weights"] == json.loads(expected)["weights"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run.model["net"].update(name="WaveNte"), "did you mean 'WaveNet'"),
        (lambda run: run.learning["trainer"].update(max_epoch=3), "did you mean 'max_epochs'"),
        (lambda run: run.data["common"].update(x_path="gone.wav"), "gone.wav"),
        (lambda run: run.data["train"].update(ny=10**6), "ny"),
        (lambda run: run.model["loss"].update(val_loss="esrr"), "did you mean 'esr'"),
    ],
)
@pytest.mark.parametrize("check", [True, False], ids=["check", "full"])
def test_what_is_wrong_is_said_and_nothing_is_written(
    cli: Cli, tiny_run: Run, change: Callable[[Run], None], message: str, check: bool
) -> None:
    change(tiny_run)
    *files, outdir = tiny_run.write()
    before = tree(tiny_run.folder)
    done = cli("check", *files) if check else cli(*files, outdir, "-ns", full=True)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert tree(tiny_run.folder) == before


def test_all_errors_of_all_files_come_with_their_lines(cli: Cli, tiny_run: Run) -> None:
    tiny_run.data["train"]["nny"] = 3
    tiny_run.model["optimizer"]["lr"] = "fast"
    tiny_run.learning["seed"] = True
    done = cli(*tiny_run.write(), full=True)
    assert done.code == 2
    for name, path in (("data", "train.nny"), ("model", "optimizer.lr"), ("learning", "seed")):
        assert re.search(rf"{name}\.json:\d+:\d+ +{re.escape(path)} — ", done.err), done.err
    assert done.err.count("^") >= 3


def test_a_missing_argument_is_a_usage_error(cli: Cli) -> None:
    done = cli("data.json", full=True)
    assert done.code == 2
    assert "usage: nam_full" in done.err


def test_overrides_reach_the_run_and_wrong_ones_are_located(cli: Cli, tiny_run: Run) -> None:
    *files, _ = tiny_run.write()
    settings = ("--set", "learning.train_dataloader.batch_size=2", "--set", "~model.lr_scheduler")
    facts = json.loads(cli("check", *files, *settings, "--json").out)
    assert facts["training"]["batch_size"] == 2
    done = cli("check", *files, "--set", "learning.trainer.max_epochs=many")
    assert done.code == 2
    assert "--set learning.trainer.max_epochs=many" in done.err


def test_check_counts_what_the_run_will_do(cli: Cli, tiny_run: Run) -> None:
    *files, outdir = tiny_run.write()
    before = tree(tiny_run.folder)
    facts = json.loads(cli("check", *files, "--json").out)
    assert tree(tiny_run.folder) == before
    assert facts["net"]["receptive_field"] == 1 + 2 * (1 + 2)
    # 1 s from 0.5 s on: (48000 − 7 + 1) // 2048 items, 4 to a step, the rest dropped
    assert facts["train"]["items"] == 23
    assert facts["training"]["steps_per_epoch"] == 5
    assert facts["export"] == ["nam", "torchscript"]
    assert cli(*files, outdir, "-np", full=True).code == 0
    steps = json.loads((run_folder(tiny_run) / "run.json").read_text())["steps"]
    assert steps == facts["training"]["steps_per_epoch"] * facts["training"]["max_epochs"]
    text = cli("check", *files).out
    assert "23 items of 2048 samples" in text


def test_a_failure_while_running_exports_nothing_and_says_how_to_resume(
    cli: Cli, tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiny_run.folder / "trouble.py").write_text(
        "import pytorch_lightning as pl\n"
        "class Trouble(pl.Callback):\n"
        "    def on_train_epoch_start(self, trainer, module):\n"
        "        if trainer.current_epoch == 1:\n"
        "            raise OSError('the disk is gone')\n",
        encoding="utf-8",
    )
    tiny_run.learning["callbacks"] = ["trouble.Trouble"]
    done = cli(*tiny_run.write(), "-ns", full=True)
    assert done.code == 1
    assert "OSError: the disk is gone" in done.err
    assert "--resume" in done.err
    assert "Traceback" not in done.err
    folder = run_folder(tiny_run)
    assert "trouble.py" in (folder / "traceback.txt").read_text(encoding="utf-8")
    assert not (folder / "model.nam").exists()
    assert (folder / "checkpoints" / "last.ckpt").is_file()


def test_an_unknown_component_of_a_failed_extension_names_the_extension(
    cli: Cli, tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    extension = tiny_run.folder / "mine.py"
    extension.write_text("NAME = 'MyNet'\nimport not_installed_here\n", encoding="utf-8")
    monkeypatch.setenv("NAM_LIKE_EXTENSIONS", str(extension))
    *files, _ = tiny_run.write()
    assert cli("check", *files).code == 0  # the run does not need it
    done = cli("check", *files, "--set", "model.net.name=MyNet")
    assert done.code == 2
    assert "mine.py" in done.err
    assert "No module named 'not_installed_here'" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupted_by_a_signal_exports_the_best_and_exits_130(tiny_run: Run) -> None:
    tiny_run.learning["trainer"]["max_epochs"] = 10_000
    process = subprocess.Popen(
        [sys.executable, "-m", "nam_like", "train", *tiny_run.write(), "-np"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HOME": str(tiny_run.folder)},
    )
    checkpoint = tiny_run.folder / "out" / "latest" / "checkpoints" / "best.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert (run_folder(tiny_run) / "model.nam").is_file()


def test_a_stereo_recording_is_explained(cli: Cli, tiny_run: Run) -> None:
    y, rate = soundfile.read(tiny_run.folder / "y.wav")
    soundfile.write(tiny_run.folder / "y.wav", np.stack([y, y], 1), rate, subtype="PCM_24")
    *files, _ = tiny_run.write()
    done = cli("check", *files)
    assert done.code == 2
    assert "channel" in done.err
    assert cli("check", *files, "--set", "data.common.y_channel=1").code == 0
