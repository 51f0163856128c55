"""Generative enhancement nets go through a whole run: training, validation, export."""

import json

import numpy as np
import pytest
import soundfile as sf
import torch
from amp import load, run

from nam_like.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")

RATE = 8000
CODER = {"fft_length": 62, "hop_length": 16, "magnitude_power": 0.5, "scale": 0.33}
ENCODED = {"name": "MSE", "config": {"domain": "encoded"}}
BRIDGE_LOSS = {"terms": {"encoded": ENCODED, "time": {"name": "MAE", "weight": 0.001}}}
MASKED = {"estimator_target": "data", "p_cond": 0.9, "ssl_pretrain_masking": "MaskPatches"}


def sampler(name):
    return {"name": name, "config": {"num_steps": 2}}


def write(folder, name, process, by, loss, target_key="clean", **changes):
    """Four recordings, and the three JSONs of a run of one epoch."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(4):
        clean = 0.4 * np.sin(0.05 * (number + 1) * np.arange(RATE // 4))
        sf.write(folder / f"clean{number}.wav", clean, RATE)
        sf.write(folder / f"noisy{number}.wav", clean + 0.1 * rng.normal(size=clean.size), RATE)
        lines.append({"clean": f"clean{number}.wav", "noisy": f"noisy{number}.wav", "duration": 0.25})
    (folder / "all.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    split = {"manifest_filepath": "all.json"}
    common = {"sample_rate": RATE, "input_key": "noisy" if target_key else "clean", "target_key": target_key}
    estimator = {"in_channels": 2, "conditioned_on_time": True, "channels": [4] * 5, "num_res_blocks": 1}
    files = {
        "data": {"type": "manifest", "common": common, "train": split, "validation": split},
        "model": {
            "net": {
                "name": name,
                "config": {
                    "normalize_input": True,
                    "encoder": {"name": "AudioToSpectrogram", "config": CODER},
                    "estimator": {"name": "NCSNpp", "config": estimator},
                    "decoder": {"name": "SpectrogramToAudio", "config": CODER},
                    "process": process,
                    "sampler": by,
                    **changes,
                },
            },
            "loss": loss,
            "metrics": {"val": {"sisdr": {"name": "SISDR"}}},
            "optimizer": {"lr": 0.001},
        },
        "learning": {
            "train_dataloader": {"batch_size": 2},
            "trainer": {"max_epochs": 1, "accelerator": "cpu", "devices": 1, "enable_progress_bar": False},
        },
    }
    for key, value in files.items():
        (folder / f"{key}.json").write_text(json.dumps(value))
    return folder


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        (("ScoreBasedEnhancer", "OrnsteinUhlenbeckVESDE", sampler("PredictorCorrectorSampler"), ENCODED), {}),
        (
            (
                "FlowMatchingEnhancer",
                "OptimalTransportFlow",
                sampler("ConditionalFlowMatchingEulerSampler"),
                ENCODED,
            ),
            {"target_key": None, **MASKED},
        ),
        (("SchroedingerBridgeEnhancer", "SBNoiseScheduleVE", sampler("SBSampler"), BRIDGE_LOSS), {}),
    ],
    ids=["score", "flow in advance", "bridge"],
)
def test_a_run(tmp_path, arguments, changes):
    result = run(load(write(tmp_path, *arguments, **changes)), tmp_path / "out", show=False, plots=False)
    record = json.loads((result.folder / "run.json").read_text())
    assert record["status"] == "finished"
    assert np.isfinite(record["best"]["metrics"]["val_sisdr"])
    played = torch.jit.load(str(result.folder / "model.ts"))
    assert played.sample_rate == RATE
    x = torch.randn(1, 1, 1001)
    answers = []
    for _ in range(2):
        torch.manual_seed(4)
        answers.append(played(x))
    assert torch.equal(*answers)
    assert answers[0].shape == x.shape


def test_other_nets_need_targets(tmp_path):
    arguments = ("SchroedingerBridgeEnhancer", "SBNoiseScheduleVE", sampler("SBSampler"), ENCODED)
    folder = write(tmp_path, *arguments, target_key=None)
    with pytest.raises(UserError, match=r"clean0.wav: expected a target_signal to train with, but got none"):
        run(load(folder), tmp_path / "out", show=False, plots=False)


def test_a_loss_of_a_domain_that_the_net_has_not_is_refused_where_it_stands(tmp_path):
    arguments = ("ScoreBasedEnhancer", "OrnsteinUhlenbeckVESDE", sampler("PredictorCorrectorSampler"))
    folder = write(tmp_path, *arguments, {"name": "MSE"})
    with pytest.raises(UserError, match=r"model\.json:.* loss — expected a loss of the domain encoded"):
        run(load(folder), tmp_path / "out", show=False, plots=False)
    assert not (tmp_path / "out").exists()
