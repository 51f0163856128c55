"""Play audio files through a `.nam` file, as the engine's `render` tool does, without torch.

Files go through in blocks: a recording of hours takes no more memory than one of seconds.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
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

__all__ = ["RATE_TOLERANCE_HZ", "Dry", "RenderResult", "check_rate_of_model", "render_file", "render_through"]

logger = logging.getLogger(__name__)

# The engine refuses audio whose rate differs from the model's by more than this.
RATE_TOLERANCE_HZ = 0.5
# Samples per block: 256 KiB, which stay in the cache.
_BLOCK = 65536
# Bytes of samples up to which a WAV header can count them, with room for the rest of the file.
_WAV_BYTES = (1 << 32) - (1 << 16)


@dataclass(frozen=True)
class Dry:
    """What is played: one channel of an audio file.

    Attributes:
        path: the file.
        channel: which channel, from 0; None requires a mono file.
        sample_rate: what it is converted to, in Hz; None leaves it at its own.
        gain: factor of its samples.
    """

    path: Path
    channel: int | None = None
    sample_rate: int | None = None
    gain: float = 1.0


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
    in_path, out_path = Path(in_path), Path(out_path)
    _check_output(in_path, out_path)
    player = load(model_path, slim=slim, fast_tanh=fast_tanh)
    rate = round(player.sample_rate) if resample and player.sample_rate is not None else None
    return render_through(player, Dry(in_path, channel, rate), out_path)


def render_through(
    player: Player, dry: Dry, out_path: Path, stopped: Callable[[], bool] | None = None
) -> RenderResult:
    """As :func:`render_file`, with a player that has been loaded and not played yet, or was reset.

    Args:
        player: one stream; it is left at the end of this one.
        dry: what is played.
        out_path: a `.wav` file; it is written whole or not at all.
        stopped: asked before every block; where it is true, nothing is written.

    Raises:
        UserError: as of :func:`render_file`, or it was stopped.
    """
    _check_output(dry.path, out_path)
    rate, frames, blocks = _open_for(player, dry)
    played = _Played(player, dry.path, stopped)
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


def check_rate_of_model(path: Path, rate: float, expected: float | None) -> None:
    """Refuse audio of another rate than the model's, as the engine does.

    Args:
        path: the audio, for the message.
        rate: Hz, as it would be played.
        expected: the model's, in Hz; None takes any.

    Raises:
        UserError: they differ.
    """
    if expected is not None and abs(rate - expected) > RATE_TOLERANCE_HZ:
        raise UserError(
            f"{path}: expected a sample rate of {expected:g} Hz, that of the model, but got {rate:g} Hz"
        )


def _check_output(in_path: Path, out_path: Path) -> None:
    if out_path.suffix.lower() != ".wav":
        raise UserError(f"{out_path}: expected the output's name to end in .wav, but got {out_path.suffix!r}")
    if out_path.exists() and in_path.exists() and out_path.samefile(in_path):
        raise UserError(f"{out_path}: expected the output to be another file than the input")


def _open_for(player: Player, dry: Dry) -> tuple[int, int, Iterator[NDArray[np.float32]]]:
    """Rate, samples and blocks of the input, as it is played; a model without a rate takes any."""
    info = audio_info(dry.path)
    rate, frames, blocks = info.sample_rate, info.frames, decoded_blocks(dry.path, dry.channel, _BLOCK)
    if dry.sample_rate is not None:
        rate, frames = dry.sample_rate, resampled_length(frames, info.sample_rate, dry.sample_rate)
        blocks = resample_blocks(blocks, info.frames, info.sample_rate, dry.sample_rate)
    check_rate_of_model(dry.path, rate, player.sample_rate)
    if dry.gain != 1.0:
        blocks = (np.float32(dry.gain) * block for block in blocks)
    first = list(itertools.islice(blocks, 1))  # what cannot be decoded is told before a folder is made
    return rate, frames, itertools.chain(first, blocks)


class _Played:
    """Plays blocks and keeps account: how many samples, how loud, how many seconds in the model."""

    def __init__(self, player: Player, path: Path, stopped: Callable[[], bool] | None) -> None:
        self.player = player
        self.path = path
        self.stopped = stopped
        self.samples = 0
        self.peak = 0.0
        self.seconds = 0.0

    def through(self, blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """The output of each block.

        Raises:
            UserError: the model's output is not finite, or playing was stopped.
        """
        for block in blocks:
            if self.stopped is not None and self.stopped():
                raise UserError(f"{self.path}: stopped after sample {self.samples}")
            started = time.perf_counter()
            out = self.player.process(block)
            self.seconds += time.perf_counter() - started
            peak = float(np.abs(out).max(initial=0.0))
            if not np.isfinite(peak):
                raise UserError(
                    f"{self.path}: expected a finite output, but the model gives NaN or infinity after sample"
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
