"""`nam_like init` looks at the recording that it is given."""

import numpy as np
import pytest
import soundfile as sf

from nam_like.audio.capture_signal import capture_signal, recognised_split, split_for
from nam_like.audio.io import write_audio
from nam_like.cli.main import main
from nam_like.config import jsonc


def data_json(folder):
    return jsonc.loads((folder / "data.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("rate", "suffix"), [(48000, ".wav"), (44100, ".flac"), (16000, ".wav")])
def test_the_sample_numbers_are_those_of_the_recorded_signal(rate, suffix, tmp_path, capsys):
    signal = capture_signal(rate, length="short")
    path = tmp_path / f"dry{suffix}"
    write_audio(path, signal.samples, rate, subtype="PCM_24")
    assert main(["init", "a1_nano", str(tmp_path / "my"), "--x", str(path), "--y", "wet.wav"]) == 0
    data = data_json(tmp_path / "my")
    for name, region in split_for(signal).items():
        assert {key: data[name][key] for key in region} == region
    assert data["common"]["x_path"] == str(path)
    assert "of your own" not in capsys.readouterr().out
    assert "// " in (tmp_path / "my" / "data.json").read_text(encoding="utf-8")


def test_the_full_signal_is_recognised_without_making_it(tmp_path):
    """At the lowest rate, for the test's sake: its beginning and its length are what counts."""
    full = capture_signal(16000, length="full")
    write_audio(tmp_path / "full.wav", full.samples, 16000, subtype="PCM_24")
    assert recognised_split(tmp_path / "full.wav") == split_for(full)


def test_a_recording_of_ones_own_is_split_at_its_end(tmp_path, capsys):
    path = tmp_path / "dry.wav"
    sf.write(path, np.random.default_rng(0).normal(0, 0.1, 48000 * 30), 48000)
    assert main(["init", "lstm_1x8", str(tmp_path / "my"), "--x", str(path), "--y", "wet.wav"]) == 0
    data = data_json(tmp_path / "my")
    assert data["train"]["stop_seconds"] == data["validation"]["start_seconds"] == -9.0
    assert "is a recording of your own" in capsys.readouterr().out


def test_other_audio_of_the_same_length_is_not_the_signal(tmp_path):
    signal = capture_signal(16000, length="short")
    changed = signal.samples.copy()
    changed[100] = 0.01
    for name, samples in (
        ("noise", np.random.default_rng(0).normal(0, 0.1, len(changed))),
        ("dirty", changed),
        ("late", np.roll(signal.samples, 1)),
        ("stereo", np.stack([signal.samples] * 2, axis=1)),
    ):
        sf.write(tmp_path / f"{name}.wav", samples, 16000)
        assert recognised_split(tmp_path / f"{name}.wav") is None


@pytest.mark.parametrize("content", [None, b"no audio"])
def test_a_file_that_cannot_be_read_yet_changes_nothing(content, tmp_path):
    path = tmp_path / "dry.wav"
    if content is not None:
        path.write_bytes(content)
    assert main(["init", "a1_nano", str(tmp_path / "my"), "--x", str(path)]) == 0
    assert data_json(tmp_path / "my")["train"]["start_samples"] == 172800


def test_a_data_preset_that_is_named_is_taken(tmp_path):
    path = tmp_path / "dry.wav"
    sf.write(path, np.zeros(100), 48000)
    assert main(["init", "a1_nano", str(tmp_path / "my"), "--x", str(path), "--data", "default"]) == 0
    assert data_json(tmp_path / "my")["train"]["stop_samples"] == 5932800


def test_speech_has_no_dry_recording(tmp_path, capsys):
    sf.write(tmp_path / "dry.wav", np.zeros(100), 48000)
    line = ["init", "mask_rnn", str(tmp_path / "my"), "--x", str(tmp_path / "dry.wav")]
    assert main(line) == 2
    assert "leave the option out" in capsys.readouterr().err
    assert not (tmp_path / "my").exists()
