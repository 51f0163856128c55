"""The run as a whole, on a capture of one second."""

import json
import logging
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from amp import load, train, write_capture

from nam_like.errors import ExportError, UserError
from nam_like.export.nam_read import load_nam
from nam_like.train.callbacks.stop import SignalFlag
from nam_like.train.checkpoints import RECORD, CheckpointError, load_checkpoint, net_from_checkpoint


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = write_capture(
        tmp_path_factory.mktemp("capture"), data={"metadata": {"name": "Tiny", "gear_type": "amp"}}
    )
    return folder, train(folder, plots=True)


def weights_of(run, name="best"):
    return load_checkpoint(run.folder / "checkpoints" / f"{name}.ckpt")["state_dict"]


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_the_run_folder_explains_itself(finished):
    folder, result = finished
    names = {path.name for path in result.folder.iterdir()}
    assert names >= {
        "config_data.json",
        "config_model.json",
        "config_learning.json",
        "run.json",
        "checkpoints",
        "metrics.csv",
        "tensorboard",
        "model.nam",
        "comparison.png",
        "report.html",
    }
    assert (folder / "out" / "latest").resolve() == result.folder.resolve()
    record = json.loads((result.folder / "run.json").read_text())
    assert record["runs_on"]
    assert record["status"] == "finished"
    assert record["epochs"] == 2
    assert record["versions"]["torch"] == torch.__version__.split("+")[0] or record["versions"]["torch"]
    assert {len(source["sha256"]) for source in record["audio"]} == {64}
    assert record["best"]["metrics"]["ESR"] == pytest.approx(result.handed_on.best["metrics"]["ESR"])
    assert record["playback_esr"] > 0
    x, y = (sf.read(folder / name)[0][16000 * 2 // 3 :] for name in ("x.wav", "y.wav"))
    model = load_nam(result.folder / "model.nam")
    past = model.receptive_field - 1
    for key, fast in (("playback_esr", True), ("playback_esr_exact", False)):
        played = model.process(x.astype(np.float32), fast_tanh=fast)[past:].astype(np.float64)
        esr = np.sum((played - y[past:]) ** 2) / np.sum(y[past:] ** 2)
        assert record[key] == pytest.approx(esr, rel=1e-4)
    assert record["playback_seconds"] == pytest.approx((len(x) - past) / 16000)
    best = record["best"]["epoch"] + 1
    report = (result.folder / "report.html").read_text()
    assert f"epoch {best} of 2" in report
    assert " on the loudest 0.333 s" in report


def test_the_export_is_the_best_epoch_and_says_so(finished):
    _, result = finished
    model = load_nam(result.folder / "model.nam")
    training = model.metadata["training"]
    best = load_checkpoint(result.folder / "checkpoints" / "best.ckpt")[RECORD]
    assert training["validation_esr"] == best["metrics"]["ESR"]
    assert training["best_epoch"] == best["position"]["epoch"]
    assert model.metadata["name"] == "Tiny"
    assert model.metadata["gear_type"] == "amp"
    assert -80 < model.metadata["loudness"] < 0
    assert 0 <= model.metadata["gain"] <= 1
    assert model.sample_rate == 16000


def test_the_stated_esr_is_that_of_the_exported_file(finished):
    folder, result = finished
    x, _ = sf.read(folder / "x.wav")
    y, _ = sf.read(folder / "y.wav")
    start = 16000 * 2 // 3
    model = load_nam(result.folder / "model.nam")
    past = model.receptive_field - 1
    played = model.process(x[start:])[past:].astype(np.float64)
    esr = np.sum((played - y[start + past :]) ** 2) / np.sum(y[start + past :] ** 2)
    assert esr == pytest.approx(result.handed_on.best["metrics"]["ESR"], rel=1e-4)


def test_a_net_with_knobs_has_no_playback_esr(tmp_path):
    """Its file plays at `export_knobs`, the recording at its own knobs."""
    lstm = {"name": "LSTM", "config": {"hidden_size": 2, "input_size": 2, "export_knobs": [0.5]}}
    knobs = {"knobs": {"gain": 0.2}}
    folder = write_capture(tmp_path, data={"type": "parametric"}, model={"net": lstm})
    data = json.loads((folder / "data.json").read_text())
    data["common"].update(knobs)
    (folder / "data.json").write_text(json.dumps(data))
    result = train(folder, "learning.trainer.max_epochs=1")
    assert (result.folder / "model.nam").is_file()
    assert "playback_esr" not in json.loads((result.folder / "run.json").read_text())


def test_a_second_run_with_the_seed_is_bit_equal_and_another_seed_is_not(finished):
    folder, first = finished
    again = train(folder)
    assert again.folder != first.folder
    assert equal(weights_of(first), weights_of(again))
    other = train(folder, "learning.seed=5")
    assert not equal(weights_of(first), weights_of(other))


def test_the_resolved_configs_run_to_the_same_result(finished, tmp_path):
    from nam_like.config.run import load_run
    from nam_like.train.full import run

    folder, first = finished
    paths = [first.folder / f"config_{name}.json" for name in ("data", "model", "learning")]
    here = Path.cwd()
    os.chdir(folder)
    try:
        again = run(load_run(*paths), tmp_path, show=False, plots=False)
    finally:
        os.chdir(here)
    assert equal(weights_of(first), weights_of(again))


@pytest.mark.parametrize("how", ["last", "folder", "file", "fit_kwargs"])
def test_resuming_equals_an_uninterrupted_run(tmp_path, how):
    folder = write_capture(tmp_path)
    whole = train(folder, "learning.trainer.max_epochs=4", outdir="whole")
    first = train(folder)
    overrides, resume = ["learning.trainer.max_epochs=4"], how
    if how == "folder":
        resume = str(first.folder)
    elif how == "file":
        resume = str(first.folder / "checkpoints" / "last.ckpt")
    elif how == "fit_kwargs":
        resume = None
        overrides.append(f"learning.trainer_fit_kwargs.ckpt_path={first.folder}/checkpoints/last.ckpt")
    second = train(folder, *overrides, resume=resume)
    assert equal(weights_of(whole, "last"), weights_of(second, "last"))
    assert equal(weights_of(whole), weights_of(second))
    assert (second.folder / "metrics.csv").read_text() == (whole.folder / "metrics.csv").read_text()
    assert json.loads((second.folder / "run.json").read_text())["resumed_from"].endswith("last.ckpt")


def test_resuming_from_the_best_goes_on_after_it(tmp_path):
    folder = write_capture(tmp_path)
    train(folder)
    second = train(folder, "learning.trainer.max_epochs=3", resume="best")
    assert second.handed_on.best["epoch"] == 2


class TestNothingIsWritten:
    def check(self, folder, exception, match, *overrides, **kwargs):
        with pytest.raises(exception, match=match):
            train(folder, *overrides, **kwargs)
        assert not (folder / "out").exists()

    def test_when_the_data_are_wrong(self, tmp_path):
        folder = write_capture(tmp_path)
        sf.write(folder / "y.wav", np.zeros(100), 16000)
        self.check(folder, UserError, "y.wav")

    def test_when_segments_are_too_short_for_a_loss(self, tmp_path):
        folder = write_capture(tmp_path, model={"loss": {"mrstft_weight": 1.0}})
        self.check(folder, UserError, "at least 1025 samples")

    def test_when_the_mask_covers_everything(self, tmp_path):
        folder = write_capture(tmp_path, model={"loss": {"mask_first": 512}})
        self.check(folder, UserError, "less than the segment's 512 samples")

    def test_when_there_is_nothing_to_resume(self, tmp_path):
        self.check(write_capture(tmp_path), CheckpointError, "but there is none", resume="last")

    def test_when_checkpoints_are_switched_off(self, tmp_path):
        folder = write_capture(tmp_path)
        self.check(folder, UserError, "enable_checkpointing", "learning.trainer.enable_checkpointing=false")

    def test_when_the_checkpoint_is_of_another_net(self, tmp_path):
        folder = write_capture(tmp_path)
        first = train(folder, outdir="other")
        override = "model.net.config.layers_configs[0].channels=3"
        self.check(folder, CheckpointError, "weights differ", override, resume=str(first.folder))
        path = f"model.checkpoint_path={first.folder}/checkpoints/best.ckpt"
        self.check(folder, CheckpointError, "does not fit", override, path)


def test_a_failing_run_exports_nothing_keeps_its_checkpoints_and_can_go_on(tmp_path, monkeypatch, caplog):
    from nam_like.train.tasks.regression import Regression

    folder = write_capture(tmp_path)
    whole = train(folder, "learning.trainer.max_epochs=3", outdir="whole")
    step = Regression.training_step

    def fails_later(self, batch, batch_idx):
        if self.current_epoch == 1 and batch_idx == 1:
            raise RuntimeError("out of memory, say")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Regression, "training_step", fails_later)
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError, match="out of memory"):
        train(folder, "learning.trainer.max_epochs=3")
    (failed,) = [path for path in (folder / "out").iterdir() if not path.is_symlink()]
    assert not list(failed.glob("model.*"))
    assert (failed / "checkpoints" / "last.ckpt").is_file()
    assert json.loads((failed / "run.json").read_text())["status"] == "failed"
    assert f"--resume {failed} continues it" in caplog.text
    monkeypatch.undo()
    resumed = train(folder, "learning.trainer.max_epochs=3", resume="last")
    assert equal(weights_of(whole, "last"), weights_of(resumed, "last"))


def test_the_best_is_exported_when_the_run_gets_worse(tmp_path, monkeypatch):
    from nam_like.train.tasks.regression import Regression

    folder = write_capture(tmp_path)

    def spoil(self, *args):
        if self.current_epoch >= 1:
            with torch.no_grad():
                for parameter in self.net.parameters():
                    parameter.add_(0.5)

    monkeypatch.setattr(Regression, "on_train_batch_end", spoil, raising=False)
    result = train(folder, "learning.trainer.max_epochs=3")
    assert result.handed_on.best["epoch"] == 0
    last = load_checkpoint(result.folder / "checkpoints" / "last.ckpt")[RECORD]["metrics"]["ESR"]
    assert last > result.handed_on.best["metrics"]["ESR"]
    net = net_from_checkpoint(result.folder / "checkpoints" / "best.ckpt")
    model = load_nam(result.folder / "model.nam")
    x = np.random.default_rng(1).normal(size=500).astype(np.float32) * 0.1
    with torch.no_grad():
        ours = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(model.process(x), ours, atol=1e-5)


@pytest.mark.parametrize("interval", [0.5, 2, 0.26])
def test_each_checkpoint_carries_the_metric_of_its_own_weights(tmp_path, interval):
    from nam_like.train.prepare import prepare

    folder = write_capture(tmp_path)
    overrides = [f"learning.trainer.val_check_interval={interval}", "learning.top_k=20"]
    result = train(folder, *overrides)
    job = prepare(load(folder), folder / "unused")
    files = sorted((result.folder / "checkpoints").glob("epoch-*.ckpt"))
    assert len(files) > 2
    for path in files:
        checkpoint = load_checkpoint(path)
        job.task.load_state_dict(checkpoint["state_dict"])
        x, y = job.datasets.validation[0]
        with torch.no_grad():
            error = (job.net.eval()(x[None], pad_start=False)[0] - y).double()
        esr = float(error.square().sum() / y.double().square().sum())
        assert checkpoint[RECORD]["metrics"]["val_loss"] == pytest.approx(esr, rel=1e-5)
        assert float(re.search(r"ESR-(.{9})_", path.name)[1]) == pytest.approx(esr, rel=1e-3)
    scores = [load_checkpoint(path)[RECORD]["metrics"]["val_loss"] for path in files]
    assert load_checkpoint(result.folder / "checkpoints/best.ckpt")[RECORD]["metrics"]["val_loss"] == min(
        scores
    )


def test_fine_tuning_starts_from_a_checkpoint_or_a_nam(tmp_path):
    folder = write_capture(tmp_path)
    first = train(folder)
    for override in (
        f"model.checkpoint_path={first.folder}/checkpoints/best.ckpt",
        f"model.init_from_nam={first.folder}/model.nam",
    ):
        tuned = train(folder, override, "learning.trainer.max_epochs=1", "model.optimizer.lr=1e-9")
        assert tuned.handed_on.best["metrics"]["ESR"] == pytest.approx(
            first.handed_on.best["metrics"]["ESR"], rel=1e-4
        )


def test_the_output_level_is_that_of_the_recording_after_normalisation(tmp_path):
    folder = write_capture(
        tmp_path, data={"joint": [{"name": "normalize_output", "config": {"level_rms_dbfs": -3.0}}]}
    )
    result = train(folder, "learning.trainer.max_epochs=4", "model.optimizer.lr=0.03")
    x, _ = sf.read(folder / "x.wav")
    y, _ = sf.read(folder / "y.wav")
    played = load_nam(result.folder / "model.nam").process(x[10000:])
    esr = np.sum((played - y[10000:]) ** 2) / np.sum(y[10000:] ** 2)
    assert esr == pytest.approx(result.handed_on.best["metrics"]["ESR"], rel=0.05)


def test_an_export_that_disagrees_is_deleted_and_the_run_fails(tmp_path, monkeypatch):
    from nam_like.export.nam import NamExporter

    def disagree(self, net, path, audio):
        raise ExportError("expected the file to play as the net")

    monkeypatch.setattr(NamExporter, "verify", disagree)
    folder = write_capture(tmp_path)
    with pytest.raises(ExportError, match="play as the net"):
        train(folder)
    (failed,) = [path for path in (folder / "out").iterdir() if not path.is_symlink()]
    assert not list(failed.glob("*.nam"))
    assert list((failed / "checkpoints").iterdir())


def test_a_failing_picture_costs_nothing(tmp_path, monkeypatch, caplog):
    from nam_like.train import plots

    def fails(*args, **kwargs):
        raise RuntimeError("no display")

    monkeypatch.setattr(plots, "plot_run", fails)
    result = train(write_capture(tmp_path), "learning.trainer.max_epochs=1", plots=True)
    assert (result.folder / "model.nam").is_file()
    assert "could not be made: RuntimeError: no display" in caplog.text


def test_threshold_esr_ends_the_run(tmp_path):
    folder = write_capture(tmp_path)
    result = train(folder, "learning.threshold_esr=100", "learning.trainer.max_epochs=50")
    assert json.loads((result.folder / "run.json").read_text())["epochs"] == 1


def test_without_validation_the_last_weights_are_exported(tmp_path, caplog):
    folder = write_capture(tmp_path)
    result = train(folder, "learning.trainer.limit_val_batches=0")
    assert (result.folder / "model.nam").is_file()
    assert "no validation was run" in caplog.text


def test_the_signal_handlers_are_restored(tmp_path):
    import signal

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    train(write_capture(tmp_path), "learning.trainer.max_epochs=1")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    with SignalFlag().installed() as flag:
        signal.raise_signal(signal.SIGTERM)
        assert flag.received == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) == before[0]


@pytest.mark.parametrize(
    ("callback", "epoch"),
    [
        ({"name": "EMAWeightAveraging", "config": {"decay": 0.9}}, 3),
        ({"name": "StochasticWeightAveraging", "config": {"swa_lrs": 0.03, "annealing_epochs": 1}}, None),
    ],
    ids=["EMA", "SWA"],
)
def test_averaged_weights_are_ranked_and_exported(tmp_path, callback, epoch):
    folder = write_capture(tmp_path, learning={"callbacks": [callback]})
    result = train(folder, "learning.trainer.max_epochs=4", "learning.top_k=9")
    x, _ = sf.read(folder / "x.wav")
    y, _ = sf.read(folder / "y.wav")
    start = 16000 * 2 // 3
    model = load_nam(result.folder / "model.nam")
    past = model.receptive_field - 1
    played = model.process(x[start:])[past:].astype(np.float64)
    esr = np.sum((played - y[start + past :]) ** 2) / np.sum(y[start + past :] ** 2)
    assert esr == pytest.approx(result.handed_on.best["metrics"]["ESR"], rel=1e-4)
    if epoch is None:  # the average is validated once more, after the last epoch
        names = [path.name for path in (result.folder / "checkpoints").glob("epoch-0004*")]
        assert len(names) == 1
    else:
        assert result.handed_on.best["epoch"] == epoch


def test_a_configured_logger_writes_into_the_run_folder(tmp_path):
    folder = write_capture(tmp_path, learning={"loggers": [{"name": "csv", "config": {"name": "mine"}}]})
    result = train(folder, "learning.trainer.max_epochs=1")
    assert (result.folder / "mine" / "version_0" / "metrics.csv").is_file()


def test_steps_that_are_done_several_at_a_time_give_the_same_model(finished, caplog):
    folder, result = finished
    with caplog.at_level(logging.INFO, "nam_like"):
        queued = train(folder, "learning.steps_per_launch=3", outdir="queued")
    assert "optimizer steps: 3 per launch, not recorded: the device is no GPU" in caplog.text
    assert equal(weights_of(queued), weights_of(result))
    assert (queued.folder / "metrics.csv").read_text() == (result.folder / "metrics.csv").read_text()
    assert json.loads((queued.folder / "config_learning.json").read_text())["steps_per_launch"] == 3
