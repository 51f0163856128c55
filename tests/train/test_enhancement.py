"""Enhancement runs from the three JSONs: what is validated, exported and reported, and what is refused."""

import hashlib
import json
import math

import numpy as np
import pytest
import soundfile as sf
import torch
from amp import load, train
from speech import NET, RATE, write_enhancement, write_pairs

from nam_like.config.errors import ConfigError
from nam_like.errors import UserError
from nam_like.export.quiet_jit import quiet_jit
from nam_like.train.prepare import prepare


def metrics(folder):
    return json.loads((folder / "run.json").read_text())["best"]["metrics"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = write_enhancement(tmp_path_factory.mktemp("enhancement"))
    return folder, train(folder, "learning.trainer.max_epochs=12", plots=True)


def test_it_learns(finished):
    _, result = finished
    lines = (result.folder / "metrics.csv").read_text().splitlines()
    names = lines[0].split(",")
    assert {"train_loss", "train_sisdr", "val_loss", "val_sisdr"} <= set(names)
    scores = [line.split(",")[names.index("val_sisdr")] for line in lines[1:]]
    values = [float(score) for score in scores if score]
    assert max(values) > values[0] + 1.0


def test_what_a_run_leaves(finished):
    folder, result = finished
    record = json.loads((result.folder / "run.json").read_text())
    assert record["receptive_field"] is None
    manifest = (folder / "train.json").read_bytes()
    assert record["lists"][0]["sha256"] == hashlib.sha256(manifest).hexdigest()
    assert [export["file"] for export in record["exports"]] == ["model.ts"]
    files = record["validation_files"]
    after = [file["scores"]["val_sisdr"][1] for file in files]
    assert len(files) == 3
    assert after == sorted(after)  # the worst first
    assert np.mean(after) == pytest.approx(record["best"]["metrics"]["val_sisdr"], abs=1e-3)
    enhanced = sorted((result.folder / "enhanced").glob("*.wav"))
    assert len(enhanced) == 3
    assert sf.info(enhanced[0]).samplerate == RATE
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 3 * 4
    assert (result.folder / "enhancement_1.png").stat().st_size > 10_000


def test_the_scores_before_are_those_of_the_noisy_files(finished):
    folder, result = finished
    record = json.loads((result.folder / "run.json").read_text())
    for file in record["validation_files"]:
        noisy, _ = sf.read(folder / file["name"], dtype="float64")
        clean, _ = sf.read(folder / file["name"].replace("noisy", "clean"), dtype="float64")
        scaled = noisy @ clean / (clean @ clean) * clean
        ratio = 10 * math.log10(scaled @ scaled / ((noisy - scaled) @ (noisy - scaled)))
        assert file["scores"]["val_sisdr"][0] == pytest.approx(ratio, abs=0.02)


def test_the_exported_file_plays_other_lengths(finished):
    _, result = finished
    with quiet_jit():
        module = torch.jit.load(result.folder / "model.ts")
    assert module.sample_rate == RATE
    for samples in (33, 5000):
        assert module(torch.randn(2, 1, samples)).shape == (2, 1, samples)


@pytest.mark.parametrize("batch_size", [2, 3])
def test_validation_does_not_depend_on_batches(tmp_path, batch_size):
    alone = train(write_enhancement(tmp_path / "alone"), "learning.trainer.max_epochs=1")
    together = train(
        write_enhancement(tmp_path / "together"),
        "learning.trainer.max_epochs=1",
        f"learning.val_dataloader.batch_size={batch_size}",
    )
    assert metrics(alone.folder) == metrics(together.folder)


def test_each_validation_set_has_its_own_scores(tmp_path):
    folder = write_enhancement(
        tmp_path, data={"validation": [{"manifest_filepath": "val.json"}, {"manifest_filepath": "more.json"}]}
    )
    write_pairs(folder, "more", [0.7], first=20)
    values = metrics(train(folder, "learning.trainer.max_epochs=1").folder)
    assert values["val_sisdr"] == pytest.approx(
        (3 * values["val_sisdr/val"] + values["val_sisdr/more"]) / 4, abs=1e-4
    )


def test_runs_repeat_and_resume_exactly(tmp_path):
    whole = train(write_enhancement(tmp_path / "whole"), "learning.trainer.max_epochs=3")
    half = write_enhancement(tmp_path / "half")
    train(half, "learning.trainer.max_epochs=2")
    resumed = train(half, "learning.trainer.max_epochs=3", resume="last")
    for name in ("val_sisdr", "val_loss"):
        assert metrics(whole.folder)[name] == metrics(resumed.folder)[name]
    weights = [
        torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (whole, resumed)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_metric_that_is_better_when_larger_ranks(tmp_path):
    loss = {"terms": {"mse": {"name": "MSE"}}, "val_loss": "val_sisdr"}
    values = metrics(train(write_enhancement(tmp_path, model={"loss": loss})).folder)
    assert values["val_loss"] == -values["val_sisdr"]


def test_losses_of_spectrograms_and_waveforms_go_together(tmp_path):
    terms = {
        "encoded": {"name": "MSE", "config": {"domain": "encoded"}},
        "time": {"name": "MAE", "weight": 0.5},
    }
    values = metrics(train(write_enhancement(tmp_path, model={"loss": {"terms": terms}})).folder)
    assert values["val_loss"] == pytest.approx(values["val_encoded"] + 0.5 * values["val_time"], rel=1e-5)


def test_an_average_of_the_weights_is_exported(tmp_path):
    result = train(write_enhancement(tmp_path, learning={"ema": {"decay": 0.9}, "skip_nan_grad": True}))
    checkpoint = torch.load(result.folder / "checkpoints" / "best.ckpt", weights_only=True)
    with quiet_jit():
        exported = torch.jit.load(result.folder / "model.ts").state_dict()
    trained = checkpoint["nam_like.trained_weights"]
    assert trained
    for name, value in trained.items():
        average = exported[name.removeprefix("net.")]
        assert torch.equal(average, checkpoint["state_dict"][name])
        assert not torch.equal(average, value)


def test_silence_does_not_end_a_run_that_measures_pesq(tmp_path):
    pytest.importorskip("pesq")
    pesq = {"name": "PerceptualEvaluationSpeechQuality", "config": {"fs": RATE, "mode": "nb"}}
    sisdr = {"name": "ScaleInvariantSignalDistortionRatio"}
    folder = write_enhancement(tmp_path, model={"metrics": {"val": {"sisdr": sisdr, "pesq": pesq}}})
    for number in (10, 11, 12):  # every validation target
        path = folder / f"val{number}_clean.wav"
        sf.write(path, np.zeros(sf.info(path).frames), RATE)
    result = train(folder, plots=True)
    record = json.loads((result.folder / "run.json").read_text())
    assert record["status"] == "finished"
    assert "val_pesq" not in record["best"]["metrics"]  # there is no number to tell
    assert (result.folder / "model.ts").is_file()


def refused(folder, *overrides):
    with pytest.raises(UserError) as caught:
        prepare(load(folder, *overrides), folder / "out")
    assert not (folder / "out").exists()
    return caught.value


def test_without_targets(tmp_path):
    error = refused(write_enhancement(tmp_path), "data.common.target_key=null")
    assert "expected a target_signal to train with" in str(error)


def test_channels_that_do_not_fit(tmp_path):
    net = {
        "name": "PredictiveEnhancer",
        "config": {
            "encoder": NET["config"]["encoder"],
            "decoder": NET["config"]["decoder"],
            "estimator": {"name": "NCSNpp", "config": {"channels": [8, 8, 8], "num_resolutions": 2}},
        },
    }
    error = refused(write_enhancement(tmp_path, model={"net": net}, channels=2))
    assert "expected input_signal to have 1 channels" in str(error)
    assert "input_channel_selector" in str(error)


def test_metrics_of_another_rate(tmp_path):
    pytest.importorskip("pystoi")
    metrics = {"val": {"stoi": {"name": "STOI", "config": {"fs": 2 * RATE}}}}
    error = refused(write_enhancement(tmp_path, model={"metrics": metrics}))
    assert f"expected `fs` of val_stoi to be the {RATE} Hz of the validation, but got {2 * RATE}" in str(
        error
    )


def test_amp_data_for_an_enhancer(tmp_path):
    folder = write_enhancement(tmp_path)
    sf.write(folder / "x.wav", 0.1 * np.random.default_rng(0).normal(size=4000), RATE)
    data = {
        "common": {"x_path": "x.wav", "y_path": "x.wav", "require_input_pre_silence": None},
        "train": {"ny": 100},
        "validation": {},
    }
    (folder / "data.json").write_text(json.dumps(data))
    assert "expected a dataset of examples with named signals" in str(refused(folder))


def test_a_scheduler_that_watches_what_nobody_logs(tmp_path):
    scheduler = {"name": "ReduceLROnPlateau", "monitor": "ESR"}
    with pytest.raises(ConfigError, match=r"val_sisdr.*but got 'ESR'"):
        load(write_enhancement(tmp_path, model={"lr_scheduler": scheduler}))


def test_pre_trained_weights_are_taken(tmp_path):
    first = train(write_enhancement(tmp_path / "first"))
    again = write_enhancement(
        tmp_path / "again", learning={"init_from_ptl_ckpt": str(first.folder / "checkpoints" / "best.ckpt")}
    )
    job = prepare(load(again), again / "out")
    wanted = torch.load(first.folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(value, wanted[f"net.{name}"]) for name, value in job.net.state_dict().items())
    assert job.started_from.as_dict()["missing"] == ()


class TestStreams:
    """Shar archives: without an end, so that somebody has to say what an epoch is."""

    @pytest.fixture
    def folder(self, tmp_path):
        lhotse = pytest.importorskip("lhotse")
        folder = write_enhancement(tmp_path)
        cuts = []
        for number in range(4):
            stem = folder / f"train{number}"
            clean, noisy = (lhotse.Recording.from_file(f"{stem}_{kind}.wav") for kind in ("clean", "noisy"))
            cut = noisy.to_cut()
            cut.target_recording = clean
            cuts.append(cut)
        (folder / "shar").mkdir()
        lhotse.CutSet.from_cuts(cuts).to_shar(
            folder / "shar", fields={"recording": "wav", "target_recording": "wav"}, shard_size=2
        )
        data = json.loads((folder / "data.json").read_text())
        data["train"] = {"type": "cuts", "shar_path": "shar", "truncate_duration": 0.5, "sample_rate": RATE}
        data["validation"] |= {"type": "manifest", **data.pop("common")}
        del data["type"]
        (folder / "data.json").write_text(json.dumps(data))
        return folder

    def test_it_trains(self, folder):
        result = train(folder, "learning.trainer.limit_train_batches=3")
        record = json.loads((result.folder / "run.json").read_text())
        assert record["steps"] == 6
        assert math.isfinite(record["best"]["metrics"]["val_sisdr"])
        assert "mixture" in json.loads((result.folder / "data_mixture.json").read_text())

    def test_it_resumes_exactly(self, folder):
        limit = "learning.trainer.limit_train_batches=3"
        whole = train(folder, limit, "learning.trainer.max_epochs=3", outdir="whole")
        train(folder, limit, "learning.trainer.max_epochs=2")
        resumed = train(folder, limit, "learning.trainer.max_epochs=3", resume="last")
        assert metrics(whole.folder) == metrics(resumed.folder)

    def test_an_epoch_must_have_a_length(self, folder):
        error = refused(folder)
        assert error.problems[0].path == "trainer"
        assert "limit_train_batches" in str(error)
        assert "has no end" in str(error)

    def test_options_that_mean_nothing(self, folder):
        limit = "learning.trainer.limit_train_batches=3"
        error = refused(folder, limit, "learning.train_dataloader.shuffle=false")
        assert "shuffle_buffer_size" in str(error)
