"""What only processes of their own can show: signals, and distributed training."""

import csv
import json
import re
import signal
import time

import pytest
from amp import nam_full, train, write_capture
from speech import write_enhancement

from nam_like.export.nam_read import load_nam
from nam_like.train.checkpoints import RECORD, load_checkpoint


def runs(folder):
    return [path for path in (folder / "out").iterdir() if not path.is_symlink()]


def wait_for(path, process, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if list(path()):
            return
        time.sleep(0.05)
    pytest.fail(process.communicate()[0] if process.poll() is not None else "nothing happened")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_run_and_exports_the_best_so_far(tmp_path, number):
    folder = write_capture(tmp_path, learning={"trainer": {"max_epochs": 100000, "accelerator": "cpu"}})
    process = nam_full(folder, "--no-plots")
    wait_for(lambda: folder.glob("out/2*/checkpoints/best.ckpt"), process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    (run,) = runs(folder)
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "interrupted"
    model = load_nam(run / "model.nam")
    assert model.metadata["training"]["best_epoch"] == record["best"]["epoch"]
    assert "Traceback" not in output
    assert load_checkpoint(run / "checkpoints/last.ckpt")["global_step"] >= record["best"]["step"]


def test_two_processes_make_one_run(tmp_path):
    trainer = {"max_epochs": 2, "accelerator": "cpu", "devices": 2, "strategy": "ddp"}
    data = {
        "validation": [
            {"start_samples": 10666, "stop_samples": 13000, "ny": None},
            {"start_samples": 13000, "stop_samples": 14000, "ny": None},
            {"start_samples": 14000, "ny": None},
        ]
    }
    folder = write_capture(tmp_path, data=data, learning={"trainer": trainer, "export": ["nam"]})
    process = nam_full(folder, "--no-plots")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    (run,) = runs(folder)
    assert len(re.findall("exported the weights", output)) == 1
    record = load_checkpoint(run / "checkpoints/best.ckpt")[RECORD]
    # The reduced metric is that of one process that validates all files.
    override = [f"model.checkpoint_path={run}/checkpoints/best.ckpt", "model.optimizer.lr=1e-12"]
    single = ["learning.trainer.devices=1", "~learning.trainer.strategy", "learning.trainer.max_epochs=1"]
    again = train(folder, *override, *single, outdir="single")
    esr = again.handed_on.best["metrics"]["ESR"]
    assert record["metrics"]["ESR"] == pytest.approx(esr, rel=1e-5)
    assert len(record["random_states"]) == 2
    assert load_nam(run / "model.nam").metadata["training"]["validation_esr"] == record["metrics"]["ESR"]


def test_two_processes_learn_as_one_with_twice_the_batch(tmp_path):
    def trainer(**more):
        return {"max_epochs": 3, "accelerator": "cpu", "enable_progress_bar": False, **more}

    curves = []
    for name, batch, devices in (("two", 2, {"devices": 2, "strategy": "ddp"}), ("one", 4, {"devices": 1})):
        learning = {
            "train_dataloader": {"batch_size": batch, "shuffle": True},
            "trainer": trainer(**devices),
        }
        folder = write_enhancement(tmp_path / name, learning=learning)
        process = nam_full(folder, "--no-plots")
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
        (run,) = runs(folder)
        with (run / "metrics.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["val_sisdr"]]
        names = ("train_loss", "val_loss", "val_sisdr")
        curves.append([float(row[name]) for row in rows for name in names])
    assert len(curves[0]) == 9
    assert curves[0] == pytest.approx(curves[1], rel=1e-4, abs=1e-4)
