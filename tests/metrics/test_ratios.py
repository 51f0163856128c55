"""SNR, SI-SDR, SI-SNR and SDR against torchmetrics and what they may not depend on."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from typing import Any

import pytest
import torch
import torchmetrics.audio
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nam_like.config.component import component
from nam_like.metrics.errors import MetricError
from nam_like.metrics.examples import ExampleMean
from nam_like.metrics.ratios import scale_invariant_ratio, signal_to_distortion_ratio, signal_to_noise_ratio


def metric(name: str, **config: Any) -> Any:
    return component("metric", {"name": name, "config": config}).build()


def examples(channels: int = 2) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for i, n in enumerate((3000, 4001, 2500)):
        target = torch.randn(channels, n, generator=generator) + 0.2 * i
        error = torch.randn(channels, n, generator=generator)
        made.append((0.8 * target + 0.1 * target.roll(1, -1) + 0.05 * error, target))
    return made


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("ScaleInvariantSignalDistortionRatio", {}),
        ("ScaleInvariantSignalDistortionRatio", {"zero_mean": True}),
        ("ScaleInvariantSignalNoiseRatio", {}),
        ("SignalNoiseRatio", {}),
        ("SignalNoiseRatio", {"zero_mean": True}),
        ("SignalDistortionRatio", {}),
        ("SignalDistortionRatio", {"filter_length": 32, "zero_mean": True}),
        ("SignalDistortionRatio", {"filter_length": 64, "load_diag": 0.01}),
    ],
)
def test_they_are_those_of_torchmetrics(name: str, config: dict[str, Any]) -> None:
    ours, theirs = metric(name, **config), getattr(torchmetrics.audio, name)(**config)
    assert type(ours).__module__ == "nam_like.metrics.ratios"
    for prediction, target in examples():
        ours.update(prediction, target)
        theirs.update(prediction[None], target[None])
    assert ours.compute().dtype == torch.float64
    assert float(ours.compute()) == pytest.approx(float(theirs.compute()), abs=2e-5)
    assert ours.higher_is_better is theirs.higher_is_better is True


@pytest.mark.parametrize("zero_mean", [False, True])
def test_silence_counts_as_it_does_there(zero_mean: bool) -> None:
    x, silence = torch.randn(1, 500), torch.zeros(1, 500)
    for name in ("ScaleInvariantSignalDistortionRatio", "SignalNoiseRatio"):
        theirs = getattr(torchmetrics.audio, name)(zero_mean=zero_mean)
        for pair in ((x, silence), (silence, x), (silence, silence), (x, x)):
            ours = metric(name, zero_mean=zero_mean)
            ours.update(*pair)
            if pair[0] is pair[1] is x:
                assert float(ours.compute()) > 80.0
            else:
                assert float(ours.compute()) == pytest.approx(float(theirs(*pair)), abs=1e-3)


def test_the_distortion_of_silence_is_skipped_and_that_of_a_filtered_target_is_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    x = torch.randn(1, 3000, generator=torch.Generator().manual_seed(1))
    sdr = metric("SDR")
    sdr.update(x, torch.zeros_like(x))
    with caplog.at_level(logging.WARNING):
        assert math.isnan(sdr.compute())
        assert math.isnan(sdr.compute())
    assert [record.getMessage() for record in caplog.records] == ["SDR: 1 of 1 examples skipped: silent"]
    filtered = 0.5 * x + 0.3 * torch.nn.functional.pad(x, (3, 0))[:, :-3]
    sdr.update(filtered, x)
    assert 30.0 < float(sdr.compute()) < 200.0
    assert float(scale_invariant_ratio(filtered, x)) < 6.0
    assert 100.0 < float(signal_to_distortion_ratio(x, x)) < 200.0


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(0.01, 100),
    other=st.floats(0.01, 100),
    offset=st.floats(-5, 5),
    sign=st.sampled_from([1.0, -1.0]),
    seed=st.integers(0, 99),
)
def test_what_the_scale_invariant_ratio_does_not_depend_on(
    scale: float, other: float, offset: float, sign: float, seed: int
) -> None:
    prediction, target = torch.randn(2, 3, 400, generator=torch.Generator().manual_seed(seed)).double()
    prediction = target + 0.3 * prediction
    level = scale_invariant_ratio(prediction, target)
    assert torch.allclose(scale_invariant_ratio(sign * scale * prediction, other * target), level, atol=1e-3)
    shifted = scale_invariant_ratio(prediction + offset, target - offset, zero_mean=True)
    assert torch.allclose(shifted, scale_invariant_ratio(prediction, target, zero_mean=True), atol=1e-9)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(scale_invariant_ratio(prediction[:, order], target[:, order]), level, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(-20, 60), st.integers(0, 9))
def test_an_orthogonal_error_of_known_energy_has_the_ratio_of_the_energies(level: float, seed: int) -> None:
    target, error = torch.randn(2, 1, 1000, generator=torch.Generator().manual_seed(seed)).double()
    error -= (error * target).sum() / target.square().sum() * target
    error *= target.norm() / error.norm() * 10 ** (-level / 20)
    assert float(signal_to_noise_ratio(target + error, target)) == pytest.approx(level, abs=1e-3)
    assert float(scale_invariant_ratio(target + error, target)) == pytest.approx(level, abs=1e-3)


def test_a_channel_alone() -> None:
    prediction, target = examples(3)[0]
    one, alone = metric("SISDR", channel=1), metric("SISDR")
    one.update(prediction, target)
    alone.update(prediction[1:2], target[1:2])
    assert float(one.compute()) == float(alone.compute())
    one.reset()
    assert math.isnan(one.compute())
    with pytest.raises(MetricError, match=r"`channel` of SISDR to be less than the 1 channels .*, but got 1"):
        one.update(prediction[:1], target[:1])
    with pytest.raises(MetricError, match=r"one shape \(C, T\), but got"):
        one.update(prediction, target[:, 1:])


def test_examples_of_all_processes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = metric("SNR"), metric("SNR")
    pairs = examples(1)
    mine.update(*pairs[0])
    for pair in pairs[1:]:
        other.update(*pair)
    theirs = other.totals()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda totals: totals.add_(theirs))
    expected = sum(float(signal_to_noise_ratio(*pair)) for pair in pairs) / 3
    assert float(mine.compute()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "torchmetrics.audio.ScaleInvariantSignalDistortionRatio",
        "torchmetrics.audio.sdr:ScaleInvariantSignalDistortionRatio",
        "ScaleInvariantSignalDistortionRatio",
    ],
)
def test_their_import_path_means_ours(name: str) -> None:
    found = component("metric", {"name": name, "config": {"channel": 0}})
    assert found.name == "ScaleInvariantSignalDistortionRatio"
    assert isinstance(found.build(), ExampleMean)


def test_they_import_nothing_heavy() -> None:
    code = (
        "import sys; from nam_like.config.component import component\n"
        "for name in ('SISDR', 'SNR', 'torchmetrics.audio.SignalDistortionRatio'):\n"
        "    component('metric', name).build()\n"
        "print(sorted({'torchmetrics', 'scipy', 'pesq', 'pytorch_lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
