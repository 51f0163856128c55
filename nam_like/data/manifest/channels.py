"""Which channels of a file are used: all, one, some in a given order, or their mean."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from nam_like.audio.errors import AudioError
from nam_like.config.base import describe

__all__ = ["ChannelSelector", "Selector", "check_selector", "select_channels"]

Selector: TypeAlias = int | list[int] | Literal["average"] | None
"""None takes all channels, a number one, a list these in its order, ``"average"`` the mean of all."""


def _selector(value: Any) -> Any:
    """Check a selector of a config: what can be checked without a file."""
    if value is None or value == "average":
        return value
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not all(isinstance(item, int) and not isinstance(item, bool) for item in numbers):
        raise PydanticCustomError(
            "expected",
            'expected null, a channel, a list of channels or "average", but got {got}',
            {"got": describe(value)},
        )
    if min(numbers) < 0:
        raise PydanticCustomError(
            "expected", "expected channels counted from 0, but got {got}", {"got": str(min(numbers))}
        )
    return value


ChannelSelector: TypeAlias = Annotated[Selector, BeforeValidator(_selector)]
"""A selector as a field of a config."""


def check_selector(selector: Selector, channels: int, key: str, file: str) -> None:
    """Raise where a file of so many channels has not what is selected.

    Args:
        selector: see :data:`Selector`.
        channels: that the file has.
        key: of the config, for the message.
        file: its name, for the message.

    Raises:
        AudioError: a channel is negative, or the file has fewer.
    """
    if selector is None or selector == "average":
        return
    for channel in [selector] if isinstance(selector, int) else selector:
        if not 0 <= channel < channels:
            has = "0, its only channel," if channels == 1 else f"channels from 0 to {channels - 1},"
            raise AudioError(f"{file}: expected `{key}` to choose {has} but got {selector}")


def select_channels(samples: npt.NDArray[np.float32], selector: Selector) -> npt.NDArray[np.float32]:
    """Select channels of one file.

    Args:
        samples: `(T, C)`.
        selector: see :data:`Selector`; its channels are there.

    Returns:
        `(C', T)`, contiguous.
    """
    if selector is None:
        chosen = samples.T
    elif selector == "average":
        chosen = samples.mean(axis=1, dtype=np.float32)[None]
    else:
        chosen = samples.T[selector if isinstance(selector, list) else [selector]]
    return np.ascontiguousarray(chosen)
