"""`nam_like score`: what a net does to the scores of a validation set, and what is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.cli.conftest import Done
from tests.export.enhance.nets import Same, save

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning")

Cli = Callable[..., Done]
RATE = 8000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two tones with noise of 20 and 0 dB, and a data JSON beside their manifest."""
    rng = np.random.default_rng(0)
    lines = []
    for name, level in (("easy", 0.1), ("hard", 1.0)):
        clean = 0.2 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
        noise = rng.normal(size=RATE)
        noise *= level * math.sqrt(np.mean(clean**2) / np.mean(noise**2))
        for kind, signal in (("noisy", clean + noise), ("clean", clean)):
            soundfile.write(tmp_path / f"{name}_{kind}.wav", signal, RATE, subtype="FLOAT")
        lines.append(
            json.dumps({"noisy": f"{name}_noisy.wav", "clean": f"{name}_clean.wav", "duration": 1.0})
        )
    (tmp_path / "val.json").write_text("\n".join(lines))
    split = {"manifest_filepath": "val.json"}
    common = {"sample_rate": RATE, "input_key": "noisy", "target_key": "clean"}
    value = {"type": "manifest", "common": common, "train": split, "validation": split}
    path = tmp_path / "data.json"
    path.write_text(json.dumps(value))
    return path


def test_a_gain_changes_no_score(cli: Cli, data: Path) -> None:
    model = save(Same(0.5), data.parent / "model.ts")
    done = cli("score", str(model), str(data), "--measures", "sisdr", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    worst_first = ["hard_noisy.wav", "easy_noisy.wav"]
    assert [file["name"] for file in found["files"]] == worst_first
    for file, level in zip(found["files"], (0.0, 20.0), strict=True):
        before, after = file["scores"]["sisdr"]
        assert before == pytest.approx(level, abs=0.3)
        assert after == pytest.approx(before, abs=1e-3)
    means = [np.mean([file["scores"]["sisdr"][when] for file in found["files"]]) for when in (0, 1)]
    assert found["mean"]["sisdr"] == pytest.approx(means)


def test_a_net_that_takes_noise_away_scores_better(cli: Cli, data: Path) -> None:
    class Narrow(torch.nn.Module):
        """Keeps the band around the tone."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            spectrum = torch.fft.rfft(x)
            kept = torch.zeros_like(spectrum)
            kept[..., 400:480] = spectrum[..., 400:480]
            return torch.fft.irfft(kept, n=x.shape[-1])

    model = save(Narrow(), data.parent / "narrow.ts")
    found = json.loads(cli("score", str(model), str(data), "--measures", "sisdr", "--json").out)
    before, after = found["mean"]["sisdr"]
    assert after - before == pytest.approx(10 * math.log10(4000 / 80), abs=1.5)


def test_the_table_tells_the_mean(cli: Cli, data: Path) -> None:
    model = save(Same(1.0), data.parent / "model.ts")
    out = cli("score", str(model), str(data), "--measures", "sisdr").out
    assert "mean of 2: sisdr" in out
    assert out.index("hard_noisy.wav") < out.index("easy_noisy.wav")


def test_what_is_missing_or_does_not_fit(cli: Cli, data: Path) -> None:
    model = str(save(Same(1.0), data.parent / "model.ts"))
    done = cli("score", model, str(data), "--set", "data.common.input_key=nosy")
    assert done.code == 2
    assert "nosy" in done.err
    assert cli("score", model, "nowhere.json").code == 2
    assert cli("score", "nowhere.ts", str(data)).code == 2
    done = cli("score", model, str(data), "--set", "data.common.target_key=null", "--measures", "sisdr")
    assert (done.code, "expected a target_signal to score against" in done.err) == (2, True)
    done = cli("score", model, str(data), "--set", "data.common.sample_rate=8001", "--measures", "pesq")
    assert done.code == 2
