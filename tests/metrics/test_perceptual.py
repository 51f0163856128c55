"""PESQ and STOI: the values of torchmetrics, and signals that have none."""

from __future__ import annotations

import logging
import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics.audio
from pydantic import ValidationError
from speech_signals import noisy, speech
from torch import Tensor

from nam_like.config.component import component
from nam_like.metrics.errors import MetricError


def metric(name: str, **config: Any) -> Any:
    return component("metric", {"name": name, "config": config}).build()


@pytest.mark.parametrize(
    ("name", "config", "theirs"),
    [
        ("PESQ", {"fs": 16000}, {"fs": 16000, "mode": "wb"}),
        ("torchmetrics.audio.PerceptualEvaluationSpeechQuality", {"fs": 16000, "mode": "nb"}, None),
        ("PESQ", {"fs": 8000}, {"fs": 8000, "mode": "nb"}),
        ("STOI", {"fs": 16000}, None),
        ("torchmetrics.audio.stoi.ShortTimeObjectiveIntelligibility", {"fs": 8000, "extended": True}, None),
    ],
)
def test_they_are_those_of_torchmetrics(
    name: str, config: dict[str, Any], theirs: dict[str, Any] | None
) -> None:
    long = {"PESQ": "PerceptualEvaluationSpeechQuality", "STOI": "ShortTimeObjectiveIntelligibility"}
    last = name.rpartition(".")[2]
    reference = getattr(torchmetrics.audio, long.get(last, last))(**(theirs or config))
    ours = metric(name, **config)
    for seed, level in ((0, 0.02), (1, 0.1)):
        target = speech(1.0, seed, config["fs"])
        ours.update(noisy(target, level), target)
        reference.update(noisy(target, level), target)
    assert float(ours.compute()) == pytest.approx(float(reference.compute()), abs=1e-4)
    assert ours.higher_is_better is True


def bad_examples() -> list[tuple[Tensor, Tensor]]:
    target = speech()
    silence = torch.zeros_like(target)
    return [
        (target, silence),
        (silence, target),
        (silence, silence),
        (target[:, :3000], target[:, :3000]),
        (target[:, :0], target[:, :0]),
        (target * math.nan, target),
        (target * math.inf, target),
    ]


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("PESQ", {"fs": 16000}, "silent or shorter than 0.25 s"),
        ("STOI", {"fs": 16000}, "silent or shorter than 0.4 s without pauses"),
        ("STOI", {"fs": 16000, "extended": True}, "silent or shorter than 0.4 s without pauses"),
    ],
)
def test_what_cannot_be_measured_is_skipped_and_mentioned_once(
    name: str, config: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    ours, target = metric(name, **config), speech()
    ours.update(noisy(target), target)
    alone = float(ours.compute())
    assert not caplog.records
    for pair in bad_examples():
        ours.update(*pair)
    with caplog.at_level(logging.WARNING):
        assert float(ours.compute()) == alone
        ours.compute()
    assert [record.getMessage() for record in caplog.records] == [f"{name}: 7 of 8 examples skipped: {said}"]
    ours.reset()
    ours.update(*bad_examples()[0])
    assert math.isnan(ours.compute())
    assert caplog.records[-1].getMessage().startswith(f"{name}: 1 of 1 examples skipped")


def test_a_silent_channel_does_not_hide_the_others() -> None:
    target = speech()
    both, alone = metric("PESQ", fs=16000), metric("PESQ", fs=16000)
    alone.update(noisy(target), target)
    both.update(torch.cat([noisy(target), target]), torch.cat([target, torch.zeros_like(target)]))
    assert float(both.compute()) == float(alone.compute())


def test_an_example_is_evaluated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, target = metric("PESQ", fs=16000), speech()
    calls = []
    score = ours._score
    monkeypatch.setattr(ours, "_score", lambda *arguments: calls.append(1) or score(*arguments))
    ours.update(noisy(target), target)
    ours.compute()
    ours.compute()
    assert len(calls) == 1


def test_the_extended_measure_leaves_the_global_generator_alone() -> None:
    ours, target = metric("STOI", fs=16000, extended=True), speech()
    values = []
    for seed in (3, 4):
        np.random.seed(seed)  # noqa: NPY002
        before = np.random.get_state()[1].tolist()  # noqa: NPY002
        ours.reset()
        ours.update(noisy(target), target)
        values.append(float(ours.compute()))
        assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert values[0] == values[1]


@pytest.mark.parametrize(
    ("name", "package"),
    [("PESQ", "pesq"), ("STOI", "pystoi"), ("PermutationInvariantTraining", "torchmetrics")],
)
def test_a_missing_package_is_named(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for known in [known for known in sys.modules if known.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MetricError, match=rf"package {package}, .*pip install nam_like\[speech\]"):
        metric(name, **({"fs": 16000} if name != "PermutationInvariantTraining" else {}))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"fs": 44100}, "expected `fs` to be 8000 or 16000, but got 44100"),
        ({"fs": 8000, "mode": "wb"}, "expected `mode` nb at 8000 Hz, but got wb"),
        ({}, "fs"),
    ],
)
def test_configs_that_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        metric("PESQ", **config)
