import functools
from pathlib import Path

import numpy as np
import pytest

from nam_like.audio import checks, latency, level
from nam_like.audio.capture_signal import capture_signal, repeatability, split_for
from nam_like.audio.errors import AudioError
from nam_like.audio.io import read_audio, write_audio
from nam_like.errors import UserError

made = functools.cache(lambda rate=48000, length="short": capture_signal(rate, length=length))


@pytest.mark.parametrize(
    ("rate", "length", "low", "high"),
    [(48000, "short", 20, 26), (44100, "short", 20, 26), (48000, "full", 100, 190)],
)
def test_contract(rate, length, low, high):
    signal = made(rate, length)
    assert low < signal.samples.size / rate < high
    assert level.peak_dbfs(signal.samples) <= -1.0
    assert np.isfinite(signal.samples).all()
    assert signal.sections[0].start == 0
    assert signal.sections[-1].stop == signal.samples.size
    assert all(a.stop == b.start for a, b in zip(signal.sections, signal.sections[1:], strict=False))
    assert len({section.name for section in signal.sections}) == len(signal.sections)
    assert not np.any(signal.samples[: rate // 2])
    for region in split_for(signal).values():
        checks.check_pre_silence(signal.samples, region["start_samples"], rate, 0.5)
        part = signal.samples[region["start_samples"] : region["stop_samples"]]
        assert np.abs(part[: rate // 10]).max() > 0.01
        assert abs(part.mean()) < 1e-3
    for section in signal.sections:
        part = signal.samples[section.start : section.stop]
        assert np.any(part) != section.name.startswith("silence"), section.name


def test_regions_do_not_overlap():
    split = split_for(made())
    assert split["train"]["stop_samples"] <= split["validation"]["start_samples"]
    signal = made()
    train = signal.samples[split["train"]["start_samples"] : split["train"]["stop_samples"]]
    assert (
        signal.samples[split["validation"]["start_samples"] : split["validation"]["stop_samples"]].size
        < train.size
    )


def test_same_bits_every_time_and_other_bits_for_another_seed():
    signal = made()
    np.testing.assert_array_equal(capture_signal(length="short").samples, signal.samples)
    other = capture_signal(length="short", seed=1)
    assert other.sections == signal.sections
    assert not np.array_equal(other.samples, signal.samples)


def test_a_24_bit_file_holds_it_exactly(tmp_path):
    signal = made()
    write_audio(tmp_path / "a.wav", signal.samples, signal.sample_rate)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav").samples, signal.samples)


def test_wide_dynamic_range():
    signal = made(48000, "full")
    train = split_for(signal)["train"]
    samples = signal.samples[train["start_samples"] : train["stop_samples"]]
    frames = np.sqrt(np.mean(samples[: samples.size // 4800 * 4800].reshape(-1, 4800) ** 2, axis=1))
    decibels = 20 * np.log10(frames + 1e-9)
    quiet, loud = np.percentile(decibels, [5, 95])
    assert loud > -15
    assert quiet < -45


def test_blips_give_the_delay():
    signal = made()
    wet = np.roll(np.tanh(2 * signal.samples), 123)
    wet += np.random.default_rng(0).uniform(-1e-4, 1e-4, wet.size)
    found = latency.delay_from_blips(wet, signal.blips, signal.noise_window)
    assert (found.delay, found.warnings) == (123, ())
    assert latency.delay_from_correlation(signal.samples, wet, max_delay=4800).delay == 123


def test_repeatability():
    signal = made()
    wet = np.roll(np.tanh(2 * signal.samples), 10)
    assert repeatability(wet, signal, delay=10) == 0.0
    section = signal.section("validation 2")
    wet[section.start + 10 : section.stop + 10] *= 1.1
    assert repeatability(wet, signal, delay=10) == pytest.approx(0.01, rel=1e-9)
    with pytest.raises(AudioError, match="at least"):
        repeatability(wet[: section.start], signal)
    with pytest.raises(AudioError, match="silent"):
        repeatability(0 * wet, signal)


def test_bad_arguments():
    with pytest.raises(UserError, match="at least 16000 Hz, but got 8000"):
        capture_signal(8000)
    with pytest.raises(UserError, match="full or short, but got 'long'"):
        capture_signal(length="long")
    with pytest.raises(KeyError):
        made().section("nothing")


@pytest.mark.parametrize("length", ["full", "short"])
def test_the_documentation_lists_every_section(length):
    text = (Path(__file__).parents[2] / "docs" / "capture-signal.md").read_text(encoding="utf-8")
    signal = made(48000, length)
    assert f"`{length}`: {signal.samples.size} samples" in text
    for section in signal.sections:
        assert f"| {section.name} | {section.start} | {section.stop} |" in text
    for region in split_for(signal).values():
        assert f'"start_samples": {region["start_samples"]}, "stop_samples": {region["stop_samples"]}' in text
    assert f"begin at samples {signal.blips[0]} and {signal.blips[1]}" in text
    assert f"from {signal.noise_window[0]} to {signal.noise_window[1]}" in text
