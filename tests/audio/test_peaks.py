"""A long signal is checked as a short one is, with the same words, and gone through once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nam_like.audio import peaks
from nam_like.audio.checks import check_finite, check_not_clipped, check_not_silent
from nam_like.audio.errors import AudioError
from nam_like.audio.level import peak, rms
from nam_like.audio.opening import open_signal
from nam_like.audio.peaks import loud_blocks

LENGTH = 500


@pytest.fixture
def long(monkeypatch, tmp_path):
    """Every file is a long one, of blocks of 64 samples; counts how often one is gone through."""
    counted = []
    measured = peaks._measured

    def measure(whole):
        counted.append(whole)
        return measured(whole)

    monkeypatch.setattr(peaks, "SAMPLED_ABOVE", 0)
    monkeypatch.setattr(peaks, "BLOCK", 64)
    monkeypatch.setattr(peaks, "_measured", measure)
    monkeypatch.setenv("NAM_LIKE_CACHE", str(tmp_path / "notes"))
    return counted


def said(check, samples) -> str:
    try:
        check(samples, "name")
    except AudioError as error:
        return f"{type(error).__name__}: {error}"
    return "fine"


values = st.sampled_from([0.0, 0.1, -0.5, 0.99997, 1.0, -1.0, 1.5, float("nan"), float("inf")])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.dictionaries(st.integers(0, LENGTH - 1), values, max_size=6), st.data())
def test_checks_say_what_they_say_of_an_array(long, tmp_path, changed, data):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, LENGTH).astype(np.float32)
    for at, value in changed.items():
        samples[at : at + data.draw(st.integers(1, 6))] = value
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    start, stop = data.draw(st.integers(0, 200)), data.draw(st.integers(201, LENGTH))
    gain = data.draw(st.sampled_from([1.0, 0.5, -1.0, 1.00003]))
    whole, _ = open_signal(path)
    array = samples[start:stop] * np.float32(gain)
    for check in (check_finite, check_not_clipped, check_not_silent):
        assert said(check, whole[start:stop].scaled(gain)) == said(check, array)


def test_later_runs_read_the_notes(long, tmp_path):
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, LENGTH)
    samples[300] = 0.9
    soundfile.write(path, samples, 8000, subtype="PCM_24")
    for _ in range(3):
        whole, _ = open_signal(path)
        assert [start for start, _ in loud_blocks(whole[10:], 0.8)] == [4 * 64 - 10]
        assert [start for start, _ in loud_blocks(whole[300:301].scaled(0.5), 0.4)] == [0]
    assert len(long) == 1
    assert len(list((tmp_path / "notes").iterdir())) == 1
    samples[0] = 0.9
    soundfile.write(path, samples, 8000, subtype="PCM_24")
    whole, _ = open_signal(path)
    assert [start for start, _ in loud_blocks(whole, 0.8)] == [0, 4 * 64]
    assert len(long) == 2


def test_without_a_place_for_notes_it_is_gone_through_each_time(long, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAM_LIKE_CACHE", str(tmp_path / "file"))
    path = tmp_path / "a.wav"
    soundfile.write(path, np.ones(LENGTH), 8000, subtype="FLOAT")
    for _ in range(2):
        whole, _ = open_signal(path)
        assert "500 samples at or beyond full scale" in said(check_not_clipped, whole)
    assert len(long) == 2


def test_levels_are_those_of_an_array(tmp_path: Path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 700_000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    whole, _ = open_signal(tmp_path / "a.wav")
    assert (rms(whole), peak(whole)) == (rms(samples), peak(samples))
    assert rms(whole) == pytest.approx(np.sqrt(np.mean(samples.astype(np.float64) ** 2)), rel=1e-14)
