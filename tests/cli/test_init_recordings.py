"""`nam_like init` looks at the recording that it is given."""

import numpy as np
import pytest
import soundfile as sf

from nam_like.audio.alignment import SAFETY
from nam_like.audio.capture_signal import capture_signal, recognised, split_for
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
    found = recognised(tmp_path / "full.wav")
    assert (found.sections, found.blips) == (full.sections, full.blips)


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
        assert recognised(tmp_path / f"{name}.wav") is None


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


def played(samples, lag):
    """A simple amp with a lag."""
    return 0.8 * np.tanh(3.0 * np.roll(samples, lag))


@pytest.mark.parametrize("lag", [0, 1, 133, 2000])
def test_the_delay_of_the_signal_is_that_of_its_clicks(lag, tmp_path, capsys):
    signal = capture_signal(48000, length="short")
    write_audio(tmp_path / "dry.wav", signal.samples, 48000, subtype="PCM_24")
    noise = np.random.default_rng(0).normal(0, 1e-5, len(signal.samples))
    write_audio(tmp_path / "wet.wav", played(signal.samples, lag) + noise, 48000, subtype="PCM_24")
    line = ["init", "a1_nano", str(tmp_path / "my"), "--x", str(tmp_path / "dry.wav")]
    assert main([*line, "--y", str(tmp_path / "wet.wav")]) == 0
    # One sample is left, so that the answer never comes before the click.
    assert data_json(tmp_path / "my")["common"]["delay"] == max(lag - 1, 0)
    assert f"answers to the clicks after {lag} samples" in capsys.readouterr().out


def test_takes_that_differ_are_told(tmp_path, capsys):
    signal = capture_signal(48000, length="short")
    write_audio(tmp_path / "dry.wav", signal.samples, 48000, subtype="PCM_24")
    wet = played(signal.samples, 0)
    wet[signal.section("validation 2").start :] *= 0.8
    write_audio(tmp_path / "wet.wav", wet, 48000, subtype="PCM_24")
    line = ["init", "a1_nano", str(tmp_path / "my"), "--x", str(tmp_path / "dry.wav")]
    assert main([*line, "--y", str(tmp_path / "wet.wav")]) == 0
    assert "two takes of the same passage differ by an ESR of 0.04" in capsys.readouterr().out


@pytest.mark.parametrize(("lag", "expected"), [(0, 0), (500, 500 - SAFETY), (-700, -700 - SAFETY)])
def test_the_delay_of_ones_own_recording_is_that_of_a_correlation(lag, expected, tmp_path, capsys):
    dry = np.random.default_rng(0).normal(0, 0.1, 48000 * 20)
    sf.write(tmp_path / "dry.wav", dry, 48000, "FLOAT")
    sf.write(tmp_path / "wet.wav", played(dry, lag), 48000, "FLOAT")
    line = ["init", "a1_nano", str(tmp_path / "my"), "--x", str(tmp_path / "dry.wav")]
    assert main([*line, "--y", str(tmp_path / "wet.wav")]) == 0
    assert data_json(tmp_path / "my")["common"]["delay"] == expected
    told = {0: "not seem to lag", 500: "seems to lag by about 500", -700: "seems to be early by about 700"}
    assert told[lag] in capsys.readouterr().out


def test_what_cannot_be_told_is_left_at_zero(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("dry", "wet"):
        sf.write(tmp_path / f"{name}.wav", rng.normal(0, 0.1, 48000 * 20), 48000, "FLOAT")
    line = ["init", "a1_nano", str(tmp_path / "my"), "--x", str(tmp_path / "dry.wav")]
    assert main([*line, "--y", str(tmp_path / "wet.wav")]) == 0
    assert data_json(tmp_path / "my")["common"]["delay"] == 0
    assert "cannot be told" in capsys.readouterr().out
