"""Aligning two recordings: which part is used, and by how many samples one lags the other. Pure functions."""

from __future__ import annotations

from nam_like.data.base import DataError

__all__ = ["StartError", "StartStopError", "StopError", "delay_bounds", "seconds_to_samples", "slice_bounds"]


class StartError(DataError):
    """A start outside the recording."""


class StopError(DataError):
    """A stop outside the recording."""


class StartStopError(DataError):
    """A start that is not before the stop."""


def seconds_to_samples(seconds: float, sample_rate: float) -> int:
    """Return `seconds · sample_rate`, whole samples only: fractions are dropped, towards zero.

    The product is rounded to a millionth of a sample first, so that 0.29 s at 100 Hz is 29 samples although
    the product of the floats is 28.999999999999996.
    """
    return int(round(seconds * sample_rate, 6))


def slice_bounds(
    length: int,
    start: int | None,
    stop: int | None,
    names: tuple[str, str] = ("start_samples", "stop_samples"),
) -> tuple[int, int]:
    """Return the first sample used and the one after the last, both counted from the beginning.

    Args:
        length: samples of the recording.
        start: first sample; negative counts from the end; None is the beginning.
        stop: sample after the last; negative counts from the end; None is the end.
        names: the config keys they come from, for the messages.

    Raises:
        StartError: `start` is outside the recording.
        StopError: `stop` is outside the recording.
        StartStopError: nothing lies between them.
    """
    first = 0 if start is None else start + length if start < 0 else start
    if start is not None and not 0 <= first < length:
        raise StartError(
            f"expected `{names[0]}` to be from -{length} to {length - 1} in a recording of {length} samples, "
            f"but got {start}"
        )
    last = length if stop is None else stop + length if stop < 0 else stop
    if stop is not None and not 0 < last <= length:
        raise StopError(
            f"expected `{names[1]}` to be from 1 to {length}, or from -{length - 1} to -1, in a recording of "
            f"{length} samples, but got {stop}"
        )
    if first >= last:
        raise StartStopError(
            f"expected `{names[0]}` to be before `{names[1]}`, but got {start} and {stop}: "
            f"samples {first} and {last} of a recording of {length}"
        )
    return first, last


def delay_bounds(length: int, delay: int) -> tuple[int, int, int]:
    """Return where x begins, where y begins and how many samples both have once `delay` is taken out.

    Args:
        length: samples of both recordings.
        delay: by how many samples y lags x. If positive, y is pulled forward: its first and x's last `delay`
            samples are dropped. If negative, the other way round.

    Raises:
        DataError: nothing is left.
    """
    if abs(delay) >= length:
        raise DataError(
            f"expected `delay` to be smaller than the {length} samples of the recording, but got {delay}"
        )
    return max(-delay, 0), max(delay, 0), length - abs(delay)
