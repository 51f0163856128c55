import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nam_like.audio.io import read_audio
from nam_like.errors import NamFileError, UserError
from nam_like.export.compare import compare_files
from nam_like.export.nam_read import load_nam
from nam_like.export.player import Player, load
from nam_like.export.render import render_file

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "golden"
MODEL = GOLDEN / "wn_act_prelu_shared" / "model.nam"
X = np.load(GOLDEN / "inputs" / "pluck.npy")[:2000]


@pytest.fixture
def dry(tmp_path):
    path = tmp_path / "dry.wav"
    soundfile.write(path, X, 48000, subtype="FLOAT")
    return path


def test_writes_float32_of_the_same_length(dry, tmp_path):
    out = tmp_path / "wet.wav"
    result = render_file(MODEL, dry, out)
    wet, rate = soundfile.read(out, dtype="float32")
    expected = load_nam(MODEL).process(X)
    np.testing.assert_allclose(wet, expected, atol=3e-6)
    assert (rate, soundfile.info(out).subtype) == (48000, "FLOAT")
    assert result.samples == 2000
    assert result.peak == np.abs(wet).max()
    assert result.path_taken == load(MODEL).describe()
    assert result.realtime_factor == pytest.approx(2000 / 48000 / result.seconds)


def test_size_knob_and_fast_tanh(dry, tmp_path):
    packed, lstm = GOLDEN / "a2_packed" / "model.nam", GOLDEN / "lstm_1x8" / "model.nam"
    render_file(packed, dry, tmp_path / "small.wav", 0.0)
    np.testing.assert_allclose(
        soundfile.read(tmp_path / "small.wav", dtype="float32")[0],
        load_nam(packed, slim=0.0).process(X),
        atol=3e-6,
    )
    render_file(lstm, dry, tmp_path / "fast.wav", fast_tanh=True)
    np.testing.assert_allclose(
        soundfile.read(tmp_path / "fast.wav", dtype="float32")[0],
        load_nam(lstm).process(X, fast_tanh=True),
        atol=3e-6,
    )


def test_another_rate_is_refused_unless_resampled(tmp_path):
    dry, out = tmp_path / "dry.wav", tmp_path / "wet.wav"
    soundfile.write(dry, X, 44100, subtype="FLOAT")
    with pytest.raises(
        UserError, match="expected a sample rate of 48000 Hz, that of the model, but got 44100 Hz"
    ):
        render_file(MODEL, dry, out)
    assert not out.exists()
    pytest.importorskip("soxr")
    result = render_file(MODEL, dry, out, resample=True)
    assert result.sample_rate == 48000
    assert abs(result.samples - 2000 * 48000 / 44100) <= 1


def test_a_model_without_a_rate_takes_the_files(tmp_path):
    document = json.loads(MODEL.read_text("utf-8"))
    del document["sample_rate"]
    model, dry = tmp_path / "model.nam", tmp_path / "dry.wav"
    model.write_text(json.dumps(document), "utf-8")
    soundfile.write(dry, X, 44100, subtype="FLOAT")
    assert render_file(model, dry, tmp_path / "wet.wav").sample_rate == 44100


def test_a_peak_above_full_scale_is_kept_and_reported(dry, tmp_path, caplog):
    document = json.loads(MODEL.read_text("utf-8"))
    document["weights"][-1] *= 100
    model = tmp_path / "loud.nam"
    model.write_text(json.dumps(document), "utf-8")
    result = render_file(model, dry, tmp_path / "wet.wav")
    assert result.peak > 1.0
    assert soundfile.read(tmp_path / "wet.wav")[0].max() > 1.0
    assert "above full scale" in caplog.text


def test_stereo_needs_a_channel(tmp_path):
    dry = tmp_path / "dry.wav"
    soundfile.write(dry, np.stack([X, -X], axis=1), 48000, subtype="FLOAT")
    with pytest.raises(UserError, match="expected 1 channel"):
        render_file(MODEL, dry, tmp_path / "wet.wav")
    render_file(MODEL, dry, tmp_path / "wet.wav", channel=1)
    np.testing.assert_allclose(
        soundfile.read(tmp_path / "wet.wav", dtype="float32")[0], load_nam(MODEL).process(-X), atol=3e-6
    )


def test_nothing_is_written_when_something_is_wrong(dry, tmp_path):
    before = set(tmp_path.iterdir())
    with pytest.raises(UserError, match=r"end in \.wav, but got '\.mp3'"):
        render_file(MODEL, dry, tmp_path / "wet.mp3")
    with pytest.raises(UserError, match="another file than the input"):
        render_file(MODEL, dry, dry)
    with pytest.raises(NamFileError, match="slimmable"):
        render_file(MODEL, dry, tmp_path / "wet.wav", 0.5)
    with pytest.raises(UserError, match="no such file"):
        render_file(MODEL, tmp_path / "absent.wav", tmp_path / "wet.wav")
    assert set(tmp_path.iterdir()) == before


def test_rendering_needs_no_torch(dry, tmp_path):
    code = (
        "import sys; from nam_like.export.render import render_file;"
        "render_file(*sys.argv[1:]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, MODEL, dry, tmp_path / "wet.wav"], check=True)


def test_long_files_go_through_in_blocks_and_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("nam_like.export.render._BLOCK", 500)
    dry, wet = tmp_path / "dry.flac", tmp_path / "wet.wav"
    x = np.tile(X, 30)
    soundfile.write(dry, x, 48000, subtype="PCM_24")
    blocks = []
    process = Player.process

    def watched(self, block):
        blocks.append(len(block))
        return process(self, block)

    monkeypatch.setattr(Player, "process", watched)
    render_file(MODEL, dry, wet)
    assert max(blocks) == 500
    assert sum(blocks) == 60_000
    played = soundfile.read(wet, dtype="float32")[0]
    expected = load_nam(MODEL).process(soundfile.read(dry, dtype="float32")[0])
    np.testing.assert_allclose(played, expected, atol=3e-6)


def test_what_a_wav_header_cannot_count_becomes_rf64(dry, tmp_path, monkeypatch):
    monkeypatch.setattr("nam_like.export.render._WAV_BYTES", 4000)
    render_file(MODEL, dry, tmp_path / "wet.wav")
    assert (tmp_path / "wet.wav").read_bytes()[:4] == b"RF64"
    assert read_audio(tmp_path / "wet.wav").samples.shape == (2000,)


def test_an_output_that_is_not_finite_is_refused(dry, tmp_path):
    document = json.loads(MODEL.read_text("utf-8"))
    document["weights"][-2:] = [3e38, 3e38]
    model = tmp_path / "loud.nam"
    model.write_text(json.dumps(document), "utf-8")
    with pytest.raises(UserError, match="expected a finite output"):
        render_file(model, dry, tmp_path / "wet.wav")
    assert not (tmp_path / "wet.wav").exists()


@pytest.mark.parametrize("delay", [0, 7, -5])
def test_comparing_in_blocks_is_comparing_at_once(tmp_path, monkeypatch, delay):
    monkeypatch.setattr("nam_like.export.compare._BLOCK", 300)
    x, y, start, stop = tmp_path / "x.wav", tmp_path / "y.wav", 400, -100
    soundfile.write(x, X, 48000, subtype="FLOAT")
    wet = load_nam(MODEL).process(X)
    soundfile.write(y, 0.9 * np.roll(wet, 3), 48000, subtype="FLOAT")
    dry, target = X[max(0, -delay) :], (0.9 * np.roll(wet, 3))[max(0, delay) :].astype(np.float64)
    length = min(len(dry), len(target))
    part = slice(start, length + stop)
    found = compare_files(MODEL, x, y, start=start, stop=stop, delay=delay)
    for fast, esr in ((False, found.esr), (True, found.esr_fast_tanh)):
        error = load_nam(MODEL).process(dry[: part.stop], fast_tanh=fast)[part] - target[part]
        assert esr == pytest.approx(np.sum(error**2) / np.sum(target[part] ** 2), rel=1e-4)
    assert found.samples == length - 500
    assert found.path_taken == load(MODEL).describe()
