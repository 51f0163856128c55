"""All signals of a cut in one window: the recording, what is wanted of it, and what else belongs to it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nam_like.config.base import describe
from nam_like.data.base import DataError
from nam_like.data.cuts.decoding import EMBEDDING, REFERENCE, TARGET
from nam_like.data.cuts.reading import ROUNDING, FloatArray, read_cut_audio, read_recording

__all__ = ["common_grid", "embedding_of", "is_mixed", "read_signals"]

_NAMES = {"input_signal": "recording", "target_signal": TARGET, "reference_signal": REFERENCE}


def common_grid(cut: Any, sample_rate: int) -> int:
    """Greatest common divisor of all sample rates of a cut and of `sample_rate`, in Hz."""
    rates = [int(part.recording.sampling_rate) for part in _parts(cut)]
    for name in (TARGET, REFERENCE):
        rates += [int(part.custom[name].sampling_rate) for part in _parts(cut) if _has(part, name)]
    return functools.reduce(math.gcd, rates, sample_rate)


def read_signals(
    cut: Any,
    offset: float,
    duration: float,
    sample_rate: int,
    *,
    channel_selector: int | str | None = None,
    require_target: bool = True,
    only_input: bool = False,
) -> dict[str, FloatArray]:
    """Read a window of all signals of a cut.

    Args:
        cut: a Lhotse cut.
        offset: of the window in the cut, seconds.
        duration: of the window, seconds.
        sample_rate: Hz, of all signals.
        channel_selector: channel of the recording, or the cut's custom field that names it; None takes the
            cut's own.
        require_target: whether the cut must have a ``target_recording``.
        only_input: leave out everything but the recording.

    Returns:
        ``input_signal``, ``target_signal`` and ``reference_signal``, each `(C, T)`; all are equally long, but
        for a recording that the cut says is ``…_unaligned``.

    Raises:
        DataError: a signal is missing, is too short, has no such channel or cannot be read.
    """
    if require_target and not any(_has(part, TARGET) for part in _parts(cut)):
        raise DataError(f"cut {cut.id} has no target_recording")
    where = f"cut {cut.id}"
    if only_input:
        return {"input_signal": _read_input(cut, offset, duration, sample_rate, channel_selector)}
    _check_lengths(cut)
    signals = {"input_signal": _read_input(cut, offset, duration, sample_rate, channel_selector)}
    aligned = ["input_signal"]
    for key, name in list(_NAMES.items())[1:]:
        parts = [part for part in _parts(cut) if _has(part, name)]
        if not parts:
            continue
        if len(parts) == 1 and _whole(parts[0], name):
            recording = parts[0].custom[name]
            channels = _selected(parts[0], name, where)
            signals[key] = read_recording(
                recording,
                channels,
                0.0,
                recording.duration,
                sample_rate=sample_rate,
                where=f"{where}: {name}",
            )
        elif is_mixed(cut):
            signals[key] = _read_mixed(cut, name, offset, duration, sample_rate)
            aligned.append(key)
        else:
            signals[key] = _read_custom(cut, name, offset, duration, sample_rate)
            aligned.append(key)
    return _equally_long(signals, aligned, sample_rate, where)


def embedding_of(cut: Any) -> Tensor | None:
    """The vector `(D,)` that belongs to a cut.

    Raises:
        DataError: it cannot be read, or is no vector.
    """
    for part in _parts(cut):
        if not _has(part, EMBEDDING):
            continue
        value = part.custom[EMBEDDING]
        try:
            vector = value.load() if hasattr(value, "load") else value
            made = torch.as_tensor(np.asarray(vector, dtype=np.float32))
        except Exception as error:
            raise DataError(f"cut {cut.id}: expected an embedding_vector, but got {error}") from error
        if made.dim() != 1:
            raise DataError(f"cut {cut.id}: expected embedding_vector (D,), but got {tuple(made.shape)}")
        return made
    return None


def is_mixed(cut: Any) -> bool:
    """Whether a cut consists of others."""
    # Lhotse looks an attribute that is missing up in several places.
    return "tracks" in vars(cut)


def _parts(cut: Any) -> list[Any]:
    """The cut itself, or those that it mixes, without padding."""
    if not is_mixed(cut):
        return [cut]
    return [track.cut for track in cut.tracks if getattr(track.cut, "has_recording", False)]


def _has(part: Any, name: str) -> bool:
    return bool(part.custom) and part.custom.get(name) is not None


def _whole(part: Any, name: str) -> bool:
    return bool(part.custom.get(f"{name}_unaligned", False))


def _check_lengths(cut: Any) -> None:
    """Refuse recordings that end before the cut does, wherever the window lies."""
    for part in _parts(cut):
        for name in (TARGET, REFERENCE):
            if not _has(part, name) or _whole(part, name):
                continue
            seconds = float(part.custom[name].duration)
            if seconds + ROUNDING < part.end:
                raise DataError(
                    f"cut {cut.id}: expected {name} of at least {part.end:.4f} s, where the cut ends, "
                    f"but got {seconds:.4f} s"
                )


def _selected(part: Any, name: str, where: str) -> list[int] | None:
    """The channels of a custom recording that the cut asks for."""
    field = f"{name}_channel_selector"
    return _channels(part.custom[field], field, where) if _has(part, field) else None


def _channels(value: Any, field: str, where: str) -> list[int]:
    """Channels as a custom field holds them: one or a list."""
    channels = [value] if isinstance(value, int) else value
    numbers = isinstance(channels, list) and all(
        isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in channels
    )
    if not numbers or not channels:
        raise DataError(f"{where}: expected {field} to be channels, but got {describe(value)}")
    return list(channels)


def _read_input(
    cut: Any, offset: float, duration: float, sample_rate: int, selector: int | str | None
) -> FloatArray:
    where = f"cut {cut.id}: recording"
    if is_mixed(cut):
        audio = read_cut_audio(cut, offset, duration, sample_rate, where)
        if selector is None:
            return audio
        if isinstance(selector, str) or selector >= len(audio):
            raise DataError(
                f"{where}: Channel index {selector} is larger than the actual number of channels {len(audio)}"
            )
        return audio[selector : selector + 1]
    channels = [cut.channel] if isinstance(cut.channel, int) else list(cut.channel)
    if isinstance(selector, str):
        if not _has(cut, selector):
            raise DataError(f"{where}: expected the cut's custom field {selector}, which names its channel")
        channels = _channels(cut.custom[selector], selector, where)
    elif selector is not None:
        channels = [selector]
    return read_recording(
        cut.recording, channels, cut.start + offset, duration, sample_rate=sample_rate, where=where
    )


def _read_custom(part: Any, name: str, offset: float, duration: float, sample_rate: int) -> FloatArray:
    where = f"cut {part.id}: {name}"
    channels = _selected(part, name, where)
    return read_recording(
        part.custom[name], channels, part.start + offset, duration, sample_rate=sample_rate, where=where
    )


def _read_mixed(cut: Any, name: str, offset: float, duration: float, sample_rate: int) -> FloatArray:
    """A signal of a mixture: that of each track where the track lies, silence between them."""
    made: FloatArray | None = None
    taken: list[tuple[float, float]] = []
    for track in cut.tracks:
        part = track.cut
        if not getattr(part, "has_recording", False) or not _has(part, name):
            continue
        begin = max(track.offset, offset)
        end = min(track.offset + part.duration, offset + duration)
        if end - begin <= ROUNDING:
            continue
        if any(begin < other_end - ROUNDING and other < end - ROUNDING for other, other_end in taken):
            raise DataError(f"cut {cut.id}: expected one {name} at a time, but got tracks that overlap")
        taken.append((begin, end))
        audio = _read_custom(part, name, begin - track.offset, end - begin, sample_rate)
        if made is None:
            made = np.zeros((len(audio), round(duration * sample_rate)), dtype=np.float32)
        if len(made) != len(audio):
            raise DataError(f"cut {cut.id}: expected {len(made)} channels of {name}, but got {len(audio)}")
        first = round((begin - offset) * sample_rate)
        made[:, first : first + audio.shape[1]] = audio[:, : made.shape[1] - first]
    if made is None:
        made = np.zeros((1, round(duration * sample_rate)), dtype=np.float32)
    return made


def _equally_long(
    signals: dict[str, FloatArray], aligned: Sequence[str], sample_rate: int, where: str
) -> dict[str, FloatArray]:
    """Cut what lies in the same window to the shortest; only rounding may differ."""
    lengths = {key: signals[key].shape[1] for key in aligned}
    shortest, longest = min(lengths.values()), max(lengths.values())
    if shortest == 0 or longest - shortest > math.ceil(ROUNDING * sample_rate) + 1:
        raise DataError(f"{where}: expected signals of the same length, but got {lengths} samples")
    return {key: value[:, :shortest] if key in lengths else value for key, value in signals.items()}
