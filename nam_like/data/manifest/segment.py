"""Which samples of its files an example is made of. All functions here are pure.

Everything is counted in samples of the data's rate, so that files of different rates stay aligned: a file of
another rate is read around the segment and converted, which gives the samples that converting the whole file
would give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["TOLERANCE", "SegmentError", "Span", "Window", "choose", "file_window", "samples_in", "whole_span"]

TOLERANCE = 0.010
"""Manifests round durations: an end this near the end of a file means the end of the file (s)."""
CONTEXT = 256
"""Samples, of the lower rate, read on both sides of a segment for the filter that converts its rate."""

_EPSILON = 1e-4  # of a sample: 2.04 s · 16 kHz is 32640.000000000004


class SegmentError(ValueError):
    """A span that its files do not hold.

    Attributes:
        file: which file is to blame, counted from 0; None where all are.
    """

    def __init__(self, message: str, file: int | None = None) -> None:
        super().__init__(message)
        self.file = file


@dataclass(frozen=True)
class Span:
    """Samples from `start` up to, not including, `stop`.

    Attributes:
        start: first sample.
        stop: the sample after the last.
    """

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many samples."""
        return self.stop - self.start


@dataclass(frozen=True)
class Window:
    """What to read of a file, and which samples of it, at the data's rate, are the segment.

    Attributes:
        first: first frame to read.
        count: frames to read.
        skip: converted samples that come before the segment.
    """

    first: int
    count: int
    skip: int


def samples_in(seconds: float, rate: int) -> int:
    """Complete samples in a time (s); what floating point takes from a sample is forgiven."""
    return math.floor(seconds * rate + _EPSILON)


def whole_span(
    offset: float, duration: float, lengths: Sequence[int], rate: int, leading: int = 1
) -> tuple[Span, bool]:
    """The samples that an entry means, of files that run in time with each other.

    They begin at `offset` and end at `offset + duration`, or with the input where that is nearer than
    :data:`TOLERANCE` or beyond. No file may end earlier than that, but for the tolerance; then all end with
    the shortest.

    Args:
        offset: of the entry (s).
        duration: of the entry (s).
        lengths: of each file, in samples of `rate`.
        rate: of the data (Hz).
        leading: how many files, from the first, are the input.

    Returns:
        The span, not empty, and whether the input ends earlier than the entry says.

    Raises:
        SegmentError: the offset lies behind the end, or a file is shorter than the input.
    """
    start, stated = samples_in(offset, rate), samples_in(offset + duration, rate)
    tolerance = samples_in(TOLERANCE, rate)
    longest = max(lengths[:leading])
    if start >= longest:
        raise SegmentError(
            f"expected `offset` to be less than the {longest / rate:.6g} s of its input, but got {offset:g} s"
        )
    stop = stated if stated < longest - tolerance else longest
    for number, length in enumerate(lengths):
        if length < stop - tolerance:
            raise SegmentError(
                f"expected at least {stop / rate:.6g} s, which is how far its example goes, but got only "
                f"{length / rate:.6g} s",
                number,
            )
    stop = min(stop, *lengths)
    if stop <= start:
        raise SegmentError(
            f"expected at least one sample of {rate} Hz, but got {duration:g} s from {offset:g} s on"
        )
    return Span(start, stop), stated > longest + tolerance


def choose(span: Span, length: int | None, draw: int | None = None) -> Span:
    """The segment of a span that makes an example.

    Args:
        span: all there is.
        length: samples wanted; None wants all. Where there are fewer, the segment is shorter.
        draw: a random number of 63 bits for a random place; None begins with the span.
    """
    if length is None or length >= span.length:
        return span
    start = span.start if draw is None else span.start + draw % (span.length - length + 1)
    return Span(start, start + length)


def file_window(span: Span, rate: int, file_rate: int, frames: int) -> Window:
    """What to read of a file for a span, so that the conversion of its rate needs no more.

    Args:
        span: samples of `rate`, within the file's ``resampled_length(frames, file_rate, rate)``.
        rate: of the data (Hz).
        file_rate: of the file (Hz).
        frames: in the file.

    Returns:
        The window; converted to `rate` it holds ``skip + span.length`` samples or more.
    """
    if rate == file_rate:
        return Window(span.start, span.length, 0)
    divisor = math.gcd(rate, file_rate)
    ours, theirs = rate // divisor, file_rate // divisor  # as many samples last as long
    context = -(-CONTEXT * max(file_rate, rate) // rate)
    # Only where a sample of the file coincides with one of ours does converting a part give our samples.
    block = max(0, span.start // ours - -(-context // theirs))
    first = block * theirs
    last = min(frames, -(-span.stop * theirs // ours) + context)
    return Window(first, last - first, span.start - block * ours)
