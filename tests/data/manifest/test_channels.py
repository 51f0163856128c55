"""The matrix of channel selectors and files."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from nam_like.audio.errors import AudioError
from nam_like.data.manifest.channels import ChannelSelector, check_selector, select_channels

SELECTOR: TypeAdapter[Any] = TypeAdapter(ChannelSelector)


def noise(channels: int) -> np.ndarray:
    return np.random.default_rng(channels).uniform(-1, 1, (50, channels)).astype(np.float32)


@pytest.mark.parametrize(
    ("selector", "channels", "expected"),
    [
        (None, 1, [0]),
        (0, 1, [0]),
        ([0], 1, [0]),
        (None, 3, [0, 1, 2]),
        (0, 3, [0]),
        (2, 3, [2]),
        ([1], 3, [1]),
        ([2, 0], 3, [2, 0]),
        ([1, 1], 3, [1, 1]),
    ],
)
def test_channels_are_chosen_in_order(selector: Any, channels: int, expected: list[int]) -> None:
    samples = noise(channels)
    assert SELECTOR.validate_python(selector) == selector
    check_selector(selector, channels, "input_channel_selector", "a.wav")
    chosen = select_channels(samples, selector)
    assert chosen.dtype == np.float32
    assert chosen.flags.c_contiguous
    np.testing.assert_array_equal(chosen, np.stack([samples[:, channel] for channel in expected]))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_mean_of_all_channels(channels: int) -> None:
    samples = noise(channels)
    check_selector("average", channels, "input_channel_selector", "a.wav")
    average = select_channels(samples, "average")
    assert average.shape == (1, 50)
    np.testing.assert_allclose(average[0], samples.astype(np.float64).mean(axis=1), atol=1e-7)


@pytest.mark.parametrize(
    ("selector", "channels", "message"),
    [
        (1, 1, "to choose 0, its only channel, but got 1"),
        ([0, 1], 1, r"to choose 0, its only channel, but got \[0, 1\]"),
        (3, 3, "to choose channels from 0 to 2, but got 3"),
        ([0, 7], 2, r"to choose channels from 0 to 1, but got \[0, 7\]"),
        (-1, 2, "to choose channels from 0 to 1, but got -1"),
    ],
)
def test_channels_that_are_not_there(selector: Any, channels: int, message: str) -> None:
    with pytest.raises(AudioError, match=rf"^a.wav: expected `input_channel_selector` {message}$"):
        check_selector(selector, channels, "input_channel_selector", "a.wav")


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (-1, "expected channels counted from 0, but got -1"),
        ([0, -2], "expected channels counted from 0, but got -2"),
        ([], 'a list of channels or "average", but got an empty list'),
        ("mean", 'or "average", but got the string "mean"'),
        (1.0, 'or "average", but got 1.0'),
        (True, 'or "average", but got true'),
        ([0, "1"], 'or "average", but got a list of 2'),
        ({"channel": 0}, 'or "average", but got an object'),
    ],
)
def test_what_is_no_selector(selector: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SELECTOR.validate_python(selector)
