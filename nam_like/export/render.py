"""Play an audio file through a `.nam` file, as the engine's `render` tool does, without torch."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nam_like.audio.io import Audio, read_audio, write_audio
from nam_like.errors import UserError
from nam_like.export.nam_read import NamModel, load_nam

__all__ = ["RATE_TOLERANCE_HZ", "RenderResult", "render_file"]

logger = logging.getLogger(__name__)

# The engine refuses audio whose rate differs from the model's by more than this.
RATE_TOLERANCE_HZ = 0.5
_BLOCK = 65536


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
    """

    path: Path
    samples: int
    sample_rate: int
    peak: float
    seconds: float
    realtime_factor: float


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
    model = load_nam(model_path, slim=slim)
    audio = _read_for(model, Path(in_path), channel, resample)
    out, seconds = _play(model, audio, fast_tanh)
    peak = float(np.abs(out).max())
    if peak > 1.0:
        logger.warning("%s: the output peaks at %.3f, above full scale (1.0)", out_path, peak)
    write_audio(out_path, out, audio.sample_rate, subtype="FLOAT")
    duration = len(out) / audio.sample_rate
    return RenderResult(out_path, len(out), audio.sample_rate, peak, seconds, duration / max(seconds, 1e-9))


def _read_for(model: NamModel, path: Path, channel: int | None, resample: bool) -> Audio:
    """Read the input at the model's rate; a model without a rate takes the file's."""
    rate = model.sample_rate
    if rate is not None and resample:
        return read_audio(path, channel=channel, sample_rate=round(rate), resample=True)
    audio = read_audio(path, channel=channel)
    if rate is not None and abs(audio.sample_rate - rate) > RATE_TOLERANCE_HZ:
        raise UserError(
            f"{path}: expected a sample rate of {rate:g} Hz, that of the model,"
            f" but got {audio.sample_rate} Hz"
        )
    return audio


def _play(model: NamModel, audio: Audio, fast_tanh: bool) -> tuple[NDArray[np.float32], float]:
    """The output as float32 and the seconds it took, prewarming included."""
    started = time.perf_counter()
    player = model.player(fast_tanh=fast_tanh)
    out = np.empty(len(audio.samples), dtype=np.float32)
    for start in range(0, len(out), _BLOCK):
        out[start : start + _BLOCK] = player.process(audio.samples[start : start + _BLOCK])
    return out, time.perf_counter() - started
