"""Losses on padded batches against recorded values of the original."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from harness.closed_form import arrays, scalars, sig
from torch import Tensor

from nam_like.losses.masked import item_means, masked_mean, signal_to_distortion


def signals() -> tuple[Tensor, Tensor]:
    return arrays()["loss_est"], sig(2, 2, 4000, 1)


def mask(*lengths: int) -> Tensor:
    return (torch.arange(4000) < torch.tensor(lengths)[:, None]).float()[:, None]


@pytest.mark.parametrize(("index", "lengths"), [(0, (4000, 4000)), (1, (4000, 2500))])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sdr", {}),
        ("si", {"scale_invariant": True}),
        ("ci1", {"convolution_taps": 1}),
        ("nomean", {"remove_mean": False}),
        ("max20", {"sdr_max": 20.0}),
        ("max5", {"sdr_max": 5.0, "scale_invariant": True}),
    ],
)
def test_recorded_ratios(name: str, options: dict[str, Any], index: int, lengths: tuple[int, int]) -> None:
    estimate, target = signals()
    found = -item_means(signal_to_distortion(estimate, target, mask(*lengths), **options), None)
    assert float(found) == pytest.approx(scalars()["losses"][name][index], abs=1e-5)


@pytest.mark.parametrize(("index", "lengths"), [(0, (4000, 4000)), (1, (4000, 2500))])
def test_recorded_convolution_invariant_ratio(index: int, lengths: tuple[int, int]) -> None:
    """It was recorded with 32 taps, and in float32, which moves it by up to 3.3e-4 dB."""
    estimate, target = signals()
    found = signal_to_distortion(estimate, target, mask(*lengths), convolution_taps=32)
    assert -float(found.mean()) == pytest.approx(scalars()["losses"]["ci"][index], abs=5e-4)


@pytest.mark.parametrize(("index", "lengths"), [(0, (4000, 4000)), (1, (4000, 2500))])
def test_recorded_errors(index: int, lengths: tuple[int, int]) -> None:
    estimate, target = signals()
    difference, recorded = estimate - target, scalars()["losses"]
    squared = item_means(masked_mean(difference.square(), mask(*lengths)), None)
    absolute = item_means(masked_mean(difference.abs(), mask(*lengths)), None)
    assert float(squared) == pytest.approx(recorded["mse"][index], abs=1e-7)
    assert float(absolute) == pytest.approx(recorded["mae"][index], abs=1e-6)


def test_a_filtered_target_is_no_distortion_to_the_convolution_invariant_ratio() -> None:
    _, target = signals()
    taps = torch.tensor([0.5, -0.3, 0.2])
    estimate = torch.stack([target, target.roll(1, -1), target.roll(2, -1)], -1) @ taps
    estimate[..., :2] = 0.0
    whole = mask(4000, 4000)
    plain = signal_to_distortion(estimate, target, whole)
    invariant = signal_to_distortion(estimate, target, whole, convolution_taps=16)
    assert float(invariant.min()) > 25.0 > float(plain.max())
