"""Play an audio file through a `.nam` file, as the engine's `render` tool does, without torch.

Files go through in blocks: a recording of hours takes no more memory than one of seconds.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nam_like.audio.errors import AudioError, reason
from nam_like.audio.io import audio_info, decoded_blocks
from nam_like.audio.resample import resample_blocks, resampled_length
from nam_like.errors import UserError
from nam_like.export.player import Player, load
from nam_like.files import atomic_path

__all__ = ["RATE_TOLERANCE_HZ", "RenderResult", "render_file"]

logger = logging.getLogger(__name__)

# The engine refuses audio whose rate differs from the model's by more than this.
RATE_TOLERANCE_HZ = 0.5
# Samples per block: 256 KiB, which stay in the cache.
_BLOCK = 65536
# Bytes of samples up to which a WAV header can count them, with room for the rest of the file.
_WAV_BYTES = (1 << 32) - (1 << 16)


@dataclass(frozen=True)
class RenderResult:
    """What was rendered.

    Attributes:
        path: the WAV file written.
        samples: its length in samples, that of the input (after resampling, if any).
        sample_rate: Hz.
        peak: largest absolute sample of the output; full scale is 1.
        seconds: time spent in the model, in seconds.
        realtime_factor: seconds of audio per second of computing.
        path_taken: which player it was, in words.
    """

    path: Path
    samples: int
    sample_rate: int
    peak: float
    seconds: float
    realtime_factor: float
    path_taken: str


def render_file(
    model_path: str | Path,
    in_path: str | Path,
    out_path: str | Path,
    slim: float | None = None,
    *,
    channel: int | None = None,
    resample: bool = False,
    fast_tanh: bool = False,
) -> RenderResult:
    """Write what a `.nam` file makes of an audio file: 32-bit float WAV, same length, not normalised.

    Args:
        model_path: the `.nam` file.
        in_path: the dry audio.
        out_path: a `.wav` file; it is written whole or not at all.
        slim: size knob from 0 to 1, for models that have one.
        channel: which channel of the input, from 0; None requires a mono file.
        resample: bring the audio to the model's rate where they differ.
        fast_tanh: play with the plugins' approximate tanh instead of the exact one.

    Raises:
        NamFileError: the model cannot be used (see :func:`nam_like.export.nam_read.load_nam`).
        UserError: the audio cannot be read, its rate is not the model's, or the output cannot be written.
    """
    out_path = Path(out_path)
    if out_path.suffix.lower() != ".wav":
        raise UserError(f"{out_path}: expected the output's name to end in .wav, but got {out_path.suffix!r}")
    if out_path.exists() and Path(in_path).exists() and out_path.samefile(in_path):
        raise UserError(f"{out_path}: expected the output to be another file than the input")
    player = load(model_path, slim=slim, fast_tanh=fast_tanh)
    rate, frames, blocks = _open_for(player, Path(in_path), channel, resample)
    played = _Played(player)
    try:
        with atomic_path(out_path) as temporary:
            _write(temporary, played.through(blocks), rate, frames)
    except OSError as error:
        raise UserError(f"{out_path}: cannot be written: {error.strerror or error}") from error
    if played.peak > 1.0:
        logger.warning("%s: the output peaks at %.3f, above full scale (1.0)", out_path, played.peak)
    factor = played.samples / rate / max(played.seconds, 1e-9)
    return RenderResult(
        out_path, played.samples, rate, played.peak, played.seconds, factor, player.describe()
    )


def _open_for(
    player: Player, path: Path, channel: int | None, resample: bool
) -> tuple[int, int, Iterator[NDArray[np.float32]]]:
    """Rate, samples and blocks of the input at the model's rate; a model without a rate takes the file's."""
    info = audio_info(path)
    blocks = decoded_blocks(path, channel, _BLOCK)
    rate = player.sample_rate
    if rate is not None and resample:
        wanted = round(rate)
        frames = resampled_length(info.frames, info.sample_rate, wanted)
        return wanted, frames, resample_blocks(blocks, info.frames, info.sample_rate, wanted)
    if rate is not None and abs(info.sample_rate - rate) > RATE_TOLERANCE_HZ:
        raise UserError(
            f"{path}: expected a sample rate of {rate:g} Hz, that of the model, but got {info.sample_rate} Hz"
        )
    return info.sample_rate, info.frames, blocks


class _Played:
    """Plays blocks and keeps account: how many samples, how loud, how many seconds in the model."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.samples = 0
        self.peak = 0.0
        self.seconds = 0.0

    def through(self, blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """The output of each block.

        Raises:
            UserError: the model's output is not finite.
        """
        for block in blocks:
            started = time.perf_counter()
            out = self.player.process(block)
            self.seconds += time.perf_counter() - started
            peak = float(np.abs(out).max(initial=0.0))
            if not np.isfinite(peak):
                raise UserError(
                    "expected a finite output, but the model gives NaN or infinity after sample"
                    f" {self.samples}"
                )
            self.samples += len(out)
            self.peak = max(self.peak, peak)
            yield out


def _write(path: Path, blocks: Iterator[NDArray[np.float32]], rate: int, frames: int) -> None:
    """Write 32-bit float WAV block by block; as RF64 where a WAV header cannot count so far."""
    import soundfile

    container = "WAV" if 4 * frames <= _WAV_BYTES else "RF64"
    try:
        with soundfile.SoundFile(str(path), "w", rate, 1, "FLOAT", format=container) as file:
            for block in blocks:
                file.write(block)
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path.name}: cannot be written: {reason(error)}") from error
