"""Noise and rooms: levels, lags and probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nam_like.data.base import DataError

RATE = 16000
pytest.importorskip("lhotse")

Build = Callable[..., Any]


def white(seconds: float, seed: int, level: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-level, level, round(seconds * RATE))


@pytest.fixture
def speech(studio: Any) -> str:
    x = white(2.0, 0, 0.3)
    return studio.cuts(*[studio.cut(f"s{index}", x, x) for index in range(40)])


def parts(example: Any) -> tuple[np.ndarray, np.ndarray]:
    """Speech and what was added to it."""
    y = example.signals["target_signal"].numpy().astype(np.float64)
    return y, example.signals["input_signal"].numpy() - y


def snr(example: Any) -> float:
    speech, noise = parts(example)
    return float(10 * np.log10((speech**2).mean() / (noise**2).mean()))


@pytest.mark.parametrize("seconds", [5.0, 0.3])
def test_the_ratio_is_that_of_the_window(studio: Any, build: Build, speech: str, seconds: float) -> None:
    """Of one long noise that is cut, and of several short ones in a row."""
    noises = [studio.cut(f"n{index}", white(seconds, index + 1, 0.05 + 0.1 * index)) for index in range(3)]
    dataset = build(
        cuts_path=speech,
        truncate_duration=1.0,
        noise_path=studio.cuts(*noises, name="noise.jsonl"),
        noise_snr=10,
        noise_mix_prob=1.0,
    )
    for index in range(5):
        assert snr(dataset[index]) == pytest.approx(10.0, abs=0.05)
        assert np.count_nonzero(parts(dataset[index])[1]) > 15900


def test_ratios_are_drawn_from_the_whole_range(studio: Any, build: Build, speech: str) -> None:
    noise = studio.cuts(studio.cut("n", white(5.0, 1)), name="noise.jsonl")
    dataset = build(cuts_path=speech, noise_path=noise, noise_snr=[0, 20], noise_mix_prob=1.0)
    found = [snr(dataset[index]) for index in range(40)]
    assert 0 <= min(found) < 4
    assert 16 < max(found) <= 20
    assert np.mean(found) == pytest.approx(10, abs=3)


def test_noise_of_another_rate_is_resampled(studio: Any, build: Build, speech: str) -> None:
    time = np.arange(40000) / 8000
    noise = studio.cuts(studio.cut("hum", np.sin(2 * np.pi * 1000 * time), rate=8000), name="noise.jsonl")
    dataset = build(cuts_path=speech, noise_path=noise, noise_snr=-20, noise_mix_prob=1.0)
    _, added = parts(dataset[0])
    assert int(np.abs(np.fft.rfft(added[0])).argmax()) == 2000  # 1 kHz in 2 s


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0), (1.0, 40)])
def test_certain_probabilities(
    studio: Any, build: Build, speech: str, probability: float, expected: int
) -> None:
    noise = studio.cuts(studio.cut("n", white(5.0, 1)), name="noise.jsonl")
    noisy = build(cuts_path=speech, noise_path=noise, noise_mix_prob=probability)
    assert sum(np.any(parts(noisy[index])[1]) for index in range(40)) == expected
    wet = build(cuts_path=speech, rir_enabled=True, rir_prob=probability)
    assert sum(np.any(parts(wet[index])[1]) for index in range(40)) == expected


def test_probabilities_between(studio: Any, build: Build, speech: str) -> None:
    noise = studio.cuts(studio.cut("n", white(5.0, 1)), name="noise.jsonl")
    dataset = build(cuts_path=speech, noise_path=noise, noise_mix_prob=0.5)
    found = 0
    for epoch in range(5):
        dataset.set_epoch(epoch)
        found += sum(np.any(parts(dataset[index])[1]) for index in range(40))
    assert abs(found - 100) < 4 * np.sqrt(200 * 0.25)


@pytest.mark.parametrize(("silent", "loud"), [("speech", 0.0), ("noise", 0.3)])
def test_silence_stays_finite(studio: Any, build: Build, silent: str, loud: float, caplog: Any) -> None:
    x = white(1.0, 0, 0.3) if silent == "noise" else np.zeros(RATE)
    noise = np.zeros(2 * RATE) if silent == "noise" else white(2.0, 1)
    path = studio.cuts(studio.cut("x", x, x))
    noises = studio.cuts(studio.cut("n", noise), name="noise.jsonl")
    signals = build(cuts_path=path, noise_path=noises, noise_mix_prob=1.0)[0].signals
    assert torch.isfinite(signals["input_signal"]).all()
    assert float(signals["target_signal"].abs().max()) == pytest.approx(loud, abs=1e-3)
    assert ("noise n is silent" in caplog.text) == (silent == "noise")


def test_noise_for_several_channels(studio: Any, build: Build) -> None:
    x = np.stack([white(1.0, 1), white(1.0, 2)])
    path = studio.cuts(studio.cut("x", x, x))
    keys = {"cuts_path": path, "noise_mix_prob": 1.0, "noise_snr": 5}
    mono = build(noise_path=studio.cuts(studio.cut("m", white(2.0, 3)), name="m.jsonl"), **keys)[0]
    assert np.allclose(parts(mono)[1][0], parts(mono)[1][1], atol=1e-6)
    three = studio.cuts(studio.cut("t", np.stack([white(2.0, seed) for seed in range(3)])), name="t.jsonl")
    with pytest.raises(DataError, match="noise t: expected 1 or 2 channels, as the speech has, but got 3"):
        build(noise_path=three, **keys)[0]


def responses(studio: Any, *signals: np.ndarray, rate: int = RATE) -> str:
    from lhotse import RecordingSet

    recordings = [
        studio.recording(f"rir{index}", signal, rate, "FLOAT") for index, signal in enumerate(signals)
    ]
    path = studio.folder / "rirs.jsonl.gz"
    RecordingSet.from_recordings(recordings).to_file(path)
    return str(path)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("rate", [RATE, 32000])
def test_a_room_neither_delays_nor_amplifies(
    studio: Any, build: Build, speech: str, sign: float, rate: int
) -> None:
    response = np.zeros(rate // 4)
    response[100] = sign
    response[101:] = 0.15 * np.random.default_rng(3).standard_normal(len(response) - 101)
    response[101:] *= np.exp(-np.arange(len(response) - 101) / (0.02 * rate))
    path = responses(studio, response, rate=rate)
    dataset = build(cuts_path=speech, rir_enabled=True, rir_path=path, rir_prob=1.0)
    signals = dataset[0].signals
    x, y = (signals[key][0].numpy().astype(np.float64) for key in ("input_signal", "target_signal"))
    assert (x**2).mean() / (y**2).mean() == pytest.approx(1.0, abs=1e-3)
    lags = np.fft.irfft(np.fft.rfft(x, 65536) * np.conj(np.fft.rfft(y, 65536)))
    assert int(np.abs(lags).argmax()) == 0
    assert np.sign(lags[0]) == sign


def test_the_first_channel_of_a_response_is_taken(studio: Any, build: Build, speech: str) -> None:
    response = np.zeros((2, 800))
    response[0, 50], response[1, 0], response[1, 400] = 1.0, 1.0, 0.9
    path = responses(studio, response)
    _, added = parts(build(cuts_path=speech, rir_enabled=True, rir_path=path, rir_prob=1.0)[0])
    assert np.abs(added).max() < 1e-5


def test_a_silent_response_is_an_error(studio: Any, build: Build, speech: str) -> None:
    path = responses(studio, np.zeros(100))
    with pytest.raises(DataError, match="recording rir0: expected a room impulse response, but got silence"):
        build(cuts_path=speech, rir_enabled=True, rir_path=path, rir_prob=1.0)[0]
    with pytest.raises(DataError, match="rir_path` is a manifest of recordings"):
        build(cuts_path=speech, rir_enabled=True, rir_path=speech)


@pytest.mark.parametrize("order", ["nemo", "rir_then_noise"])
def test_what_sounds_in_the_room(studio: Any, build: Build, order: str) -> None:
    """A room that doubles every click, a click as speech and a click as noise."""
    x, click, response = np.zeros(8000), np.zeros(8000), np.zeros(2000)
    x[1000], click[4000] = 0.5, 0.5
    response[0], response[1500] = 1.0, 1.0 - 1e-4
    signals = build(
        cuts_path=studio.cuts(studio.cut("x", x, x)),
        noise_path=studio.cuts(studio.cut("click", click), name="noise.jsonl"),
        noise_snr=0,
        noise_mix_prob=1.0,
        rir_enabled=True,
        rir_path=responses(studio, response),
        rir_prob=1.0,
        augment_order=order,
    )[0].signals
    heard = np.flatnonzero(signals["input_signal"][0].abs().numpy() > 0.05).tolist()
    assert heard == ([1000, 2500, 4000, 5500] if order == "nemo" else [1000, 2500, 4000])
    assert np.flatnonzero(signals["target_signal"][0].numpy()).tolist() == [1000]


def test_one_augmentation_does_not_change_what_the_other_draws(
    studio: Any, build: Build, speech: str
) -> None:
    noise = studio.cuts(studio.cut("n", white(5.0, 1)), name="noise.jsonl")
    keys = {"cuts_path": speech, "noise_path": noise, "noise_mix_prob": 1.0, "truncate_duration": 1.0}
    plain, wet = build(**keys)[3], build(rir_enabled=True, rir_prob=0.0, **keys)[3]
    assert torch.equal(plain.signals["input_signal"], wet.signals["input_signal"])


def test_noise_from_other_sources(studio: Any, build: Build, speech: str) -> None:
    import json

    studio.cut("n", white(5.0, 1))
    (studio.folder / "noise.json").write_text(json.dumps({"audio_filepath": "n.wav", "duration": 5.0}))
    (studio.folder / "noise.yaml").write_text(
        "- {type: nemo, manifest_filepath: noise.json, weight: 3}\n"
        "- {type: lhotse_shar, shar_path: noises, weight: 1}\n"
    )
    studio.shar("noises", 4, 2, seconds=1.0)
    sources: list[Any] = ["noise.json", "noise.yaml", "noises", {"manifest_filepath": "noise.json"}]
    for source in sources:
        dataset = build(cuts_path=speech, noise_path=source, noise_snr=7, noise_mix_prob=1.0)
        assert snr(dataset[0]) == pytest.approx(7.0, abs=0.05)
    with pytest.raises(DataError, match="noise_path` to have one of"):
        build(cuts_path=speech, noise_path={"path": "noise.json"})
