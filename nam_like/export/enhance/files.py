"""Enhance an audio file piece by piece: any length, any rate, in the memory of a few blocks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from nam_like.audio.io import AudioInfo, audio_info
from nam_like.audio.multichannel import (
    Block,
    WavSubtype,
    fitted,
    read_blocks,
    resample_channels,
    write_blocks,
)
from nam_like.audio.resample import resampled_length
from nam_like.errors import UserError
from nam_like.export.enhance.model import EnhancementModel
from nam_like.export.enhance.overlap import overlapped
from nam_like.export.enhance.stream import StreamingEnhancer, needs_peak
from nam_like.files import atomic_path

__all__ = ["EnhanceOptions", "Enhanced", "Progress", "enhance_file"]

log = logging.getLogger(__name__)

#: Told how many samples are done, and how many there are.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class EnhanceOptions:
    """How files are enhanced.

    Attributes:
        block: seconds that the net hears at a time.
        overlap: seconds in which two blocks fade into each other, at most half of `block`.
        stream: run a causal net as on a stream instead, with state kept from frame to frame: what comes out
            is what the net makes of the whole file, in constant memory.
        channels: the input's channels that the net hears together, counted from 0; None for all, ``each``
            for every one by itself.
        seed: of nets that draw random numbers; each file begins with it.
        subtype: how the WAV stores samples; integers are clipped at full scale.

    Raises:
        UserError: `block` is not positive, or `overlap` negative or more than half of it.
    """

    block: float = 30.0
    overlap: float = 1.0
    stream: bool = False
    channels: tuple[int, ...] | Literal["each"] | None = None
    seed: int = 0
    subtype: WavSubtype = "FLOAT"

    def __post_init__(self) -> None:
        if not 0.0 < self.block < float("inf"):
            raise UserError(f"expected a block of more than 0 seconds, but got {self.block:g}")
        if not 0.0 <= self.overlap <= self.block / 2:
            raise UserError(
                f"expected an overlap from 0 to half a block ({self.block / 2:g} seconds), "
                f"but got {self.overlap:g}"
            )


@dataclass(frozen=True)
class Enhanced:
    """What was made of a file.

    Attributes:
        path: the WAV written.
        samples: its length per channel, that of the input.
        sample_rate: Hz, that of the input.
        channels: of the answer.
        peak: largest absolute sample; full scale is 1.
        seconds: spent on it, reading and writing included.
        realtime_factor: seconds of audio per second spent.
    """

    path: Path
    samples: int
    sample_rate: int
    channels: int
    peak: float
    seconds: float
    realtime_factor: float


def enhance_file(
    model: EnhancementModel,
    in_path: Path | str,
    out_path: Path | str,
    options: EnhanceOptions | None = None,
    progress: Progress | None = None,
) -> Enhanced:
    """Write what a net makes of an audio file: a WAV of the input's length and rate.

    Args:
        model: the net.
        in_path: the noisy audio.
        out_path: a ``.wav`` file, written whole or not at all; an existing one is replaced.
        options: see :class:`EnhanceOptions`.
        progress: called after every block.

    Raises:
        UserError: the input cannot be read or has not the net's channels, the net cannot be played, or the
            output cannot be written.
    """
    in_path, out_path, options = Path(in_path), Path(out_path), options or EnhanceOptions()
    if out_path.exists() and in_path.exists() and out_path.samefile(in_path):
        raise UserError(f"{out_path}: expected the output to be another file than the input")
    started = time.perf_counter()
    info = audio_info(in_path)
    job = _Job(model, in_path, info, options, progress)
    job.check_channels()
    # The seed is the file's own, and the caller's random numbers stay as they are.
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), atomic_path(out_path) as temporary:
            torch.manual_seed(options.seed)
            answer = job.answer()
            first = next(answer)
            written, peak, beyond = write_blocks(
                temporary,
                fitted(_after(first, answer), info.frames),
                info.sample_rate,
                channels=first.shape[0],
                frames=info.frames,
                subtype=options.subtype,
            )
    except OSError as error:
        raise UserError(f"{out_path}: cannot be written: {error.strerror or error}") from error
    if beyond:
        what = "lie beyond full scale (1.0)" if options.subtype == "FLOAT" else "were clipped at full scale"
        log.warning("%s: %d samples %s, the largest is %.3f", out_path, beyond, what, peak)
    seconds = time.perf_counter() - started
    factor = written / info.sample_rate / max(seconds, 1e-9)
    return Enhanced(out_path, written, info.sample_rate, first.shape[0], peak, seconds, factor)


@dataclass
class _Job:
    """One file on its way through a net."""

    model: EnhancementModel
    path: Path
    info: AudioInfo
    options: EnhanceOptions
    progress: Progress | None

    @property
    def heard(self) -> tuple[int, ...]:
        """The channels that are read."""
        channels = self.options.channels
        return channels if isinstance(channels, tuple) else tuple(range(self.info.channels))

    @property
    def rate(self) -> int:
        """The rate that the net plays at (Hz); a net that names none plays at the file's."""
        return self.model.sample_rate or self.info.sample_rate

    @property
    def length(self) -> int:
        """Samples of the file at that rate."""
        return resampled_length(self.info.frames, self.info.sample_rate, self.rate)

    def check_channels(self) -> None:
        """Refuse files that have not the channels the net takes.

        Raises:
            UserError: they have others.
        """
        wanted, each = self.model.in_channels, self.options.channels == "each"
        got = 1 if each else len(self.heard)
        if wanted is not None and got != wanted:
            hint = "" if wanted > 1 else " (one can be chosen, or each be enhanced by itself: --channels)"
            raise UserError(f"{self.path}: expected {wanted} channels, as the net takes, but got {got}{hint}")

    def answer(self) -> Iterator[Block]:
        """The net's answer at the file's rate, ``(C_out, n)`` each."""
        made = self._streamed() if self.options.stream else self._overlapped()
        first = next(made)
        together = _after(first, made)
        yield from resample_channels(together, first.shape[0], self.length, self.rate, self.info.sample_rate)

    def _read(self) -> Iterator[Block]:
        """The input at the net's rate."""
        blocks = read_blocks(self.path, self.heard)
        return resample_channels(blocks, len(self.heard), self.info.frames, self.info.sample_rate, self.rate)

    def _overlapped(self) -> Iterator[Block]:
        block = max(round(self.options.block * self.rate), 2)
        overlap = min(round(self.options.overlap * self.rate), block // 2)
        done = 0
        for made in overlapped(self._read(), self.length, block, overlap, self._play):
            done += made.shape[1]
            self._tell(done)
            yield made

    def _play(self, audio: Block) -> Block:
        if self.options.channels != "each":
            return self.model.play(audio)
        return np.concatenate([self.model.play(audio[c : c + 1]) for c in range(audio.shape[0])])

    def _streamed(self) -> Iterator[Block]:
        """Frame by frame; nets that normalise their input make a first pass for its peak."""
        all_rows = list(range(len(self.heard)))
        rows = [[row] for row in all_rows] if self.options.channels == "each" else [all_rows]
        needed = needs_peak(self.model)
        peaks: list[float | None] = self._peaks(rows) if needed else [None] * len(rows)
        streams = [StreamingEnhancer(self.model, peak) for peak in peaks]
        done = 0
        for block in self._read():
            made = np.concatenate([s.feed(block[r]) for s, r in zip(streams, rows, strict=True)])
            done += made.shape[1]
            self._tell(done)
            yield made
        yield np.concatenate([stream.finish() for stream in streams])
        self._tell(self.length)

    def _peaks(self, rows: list[list[int]]) -> list[float | None]:
        peaks = [0.0] * len(rows)
        for block in self._read():
            for number, row in enumerate(rows):
                peaks[number] = max(peaks[number], float(np.abs(block[row]).max(initial=0.0)))
        return list(peaks)

    def _tell(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, self.length)


def _after(first: Block, others: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from others
