"""Metrics of torchmetrics, example by example."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchmetrics
from torchmetrics.functional.audio import (
    permutation_invariant_training,
    scale_invariant_signal_distortion_ratio,
    signal_noise_ratio,
)

from nam_like.config.component import component
from nam_like.metrics.errors import MetricError
from nam_like.metrics.speech import PerExample


def metric(name: str, **config: Any) -> Any:
    return component("metric", {"name": name, "config": config}).build()


def pairs(channels: int = 2) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for n in (300, 500):
        target = torch.randn(channels, n, generator=generator)
        made.append((target.flip(0) + 0.3 * torch.randn(channels, n, generator=generator), target))
    return made


def test_any_metric_is_averaged_over_examples_not_samples() -> None:
    ours = metric("PerExample", metric="torchmetrics.MeanAbsoluteError")
    for pair in pairs():
        ours.update(*pair)
    expected = sum(float((p - y).abs().mean()) for p, y in pairs()) / 2
    assert float(ours.compute()) == pytest.approx(expected, rel=1e-6)
    assert ours.compute().dtype == torch.float64
    assert ours.higher_is_better is False
    assert not ours.state_dict()


def test_a_channel_of_any_metric() -> None:
    ours = metric(
        "PerExample", metric="torchmetrics.audio.SignalNoiseRatio", config={"zero_mean": True}, channel=1
    )
    prediction, target = pairs(3)[0]
    ours.update(prediction, target)
    expected = signal_noise_ratio(prediction[1], target[1], zero_mean=True)
    assert float(ours.compute()) == pytest.approx(float(expected), rel=1e-5)
    assert ours.higher_is_better is True


@pytest.mark.parametrize("mode", ["speaker-wise", "permutation-wise"])
def test_the_best_assignment(mode: str) -> None:
    def whole(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return scale_invariant_signal_distortion_ratio(prediction, target).mean(-1)

    function = scale_invariant_signal_distortion_ratio if mode == "speaker-wise" else whole
    values = [
        permutation_invariant_training(p[None], y[None], function, mode=mode)[0].mean() for p, y in pairs()
    ]
    if mode == "speaker-wise":
        ours = metric("torchmetrics.audio.PermutationInvariantTraining")
    else:
        ours = PerExample(torchmetrics.audio.PermutationInvariantTraining(whole, mode=mode))
    for pair in pairs():
        ours.update(*pair)
    assert float(ours.compute()) == pytest.approx(float(sum(values)) / 2, rel=1e-5)
    plain = metric("SISDR")
    for pair in pairs():
        plain.update(*pair)
    assert float(ours.compute()) > float(plain.compute()) + 10


def test_the_smallest_may_be_the_best() -> None:
    ours = metric(
        "PermutationInvariantTraining",
        metric_func="signal_noise_ratio",
        eval_func="min",
        options={"zero_mean": True},
    )
    assert ours.higher_is_better is False
    ours.update(*pairs()[0])
    prediction, target = pairs()[0]
    expected = signal_noise_ratio(prediction, target, zero_mean=True).mean()
    assert float(ours.compute()) == pytest.approx(float(expected), rel=1e-5)


def test_processes_are_not_synchronised_example_by_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another number of examples in another process must not leave one of them waiting."""
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda totals: totals)
    gathered = []
    monkeypatch.setattr(torchmetrics.metric, "gather_all_tensors", lambda x, group: gathered.append(x) or [x])
    plain = torchmetrics.MeanAbsoluteError()
    plain.update(*pairs()[0])
    plain.compute()
    assert gathered.pop(0) is not None
    gathered.clear()
    ours = metric("PerExample", metric="torchmetrics.MeanAbsoluteError")
    for pair in pairs():
        ours.update(*pair)
    assert torch.isfinite(ours.compute())
    assert not gathered


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"metric": "torchmetrics.audio.Nothing"}, r"package torchmetrics.*has no 'Nothing'"),
        (
            {"metric": "torchmetrics.MeanAbsoluteError", "config": {"wrong": 1}},
            "accepts, but it says: .*wrong",
        ),
    ],
)
def test_metrics_that_cannot_be_made(config: dict[str, Any], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metric("PerExample", **config)


def test_values_and_signals_that_do_not_go_together() -> None:
    confusion = metric("PerExample", metric="torchmetrics.MeanSquaredError", config={"num_outputs": 300})
    prediction, target = pairs()[0]
    with pytest.raises(MetricError, match=r"accepts, but it says to|give one number, but got"):
        confusion.update(prediction, target)
