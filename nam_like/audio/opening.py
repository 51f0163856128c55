"""Opening a recording without holding it in memory: mapped where it stands, or decoded into the cache."""

from __future__ import annotations

from pathlib import Path

from nam_like.audio.cache import AudioCache, cache_name
from nam_like.audio.io import AudioInfo, audio_layout, check_rate, decoded_blocks
from nam_like.audio.resample import resample_blocks, resampled_length
from nam_like.audio.signal import Signal

__all__ = ["open_signal"]


def open_signal(
    path: Path | str,
    *,
    channel: int | None = None,
    sample_rate: int | None = None,
    resample: bool = False,
    cache: AudioCache | None = None,
) -> tuple[Signal, AudioInfo]:
    """Open one channel of an audio file; its samples are, to the last bit, those of :func:`read_audio`.

    WAV files and their 64-bit kin with samples of 8 to 64 bits are mapped as they are, any of their channels.
    What is compressed or has to be resampled is decoded in blocks, once, and mapped from the cache.

    Args:
        path: the file.
        channel: counted from 0; None requires a file with one channel.
        sample_rate: the rate wanted, in Hz; None takes what the file has.
        resample: convert to ``sample_rate`` instead of raising an error where the file's rate differs.
        cache: where decoded samples are kept; None takes the user's.

    Returns:
        The signal, at ``sample_rate`` if that is given, and what the file's header says. Samples of files
        that hold floats are not yet known to be finite.

    Raises:
        AudioError: the file cannot be used, see :func:`nam_like.audio.io.read_audio`; or what must be decoded
            cannot be kept.
    """
    path = Path(path)
    info, layout = audio_layout(path, channel)
    wanted = info.sample_rate if sample_rate is None else sample_rate
    if not resample:
        check_rate(path, info.sample_rate, wanted)
    if layout is not None and wanted == info.sample_rate:
        return Signal(layout), info
    cache = AudioCache() if cache is None else cache
    name = cache_name(path, channel, wanted)
    frames = resampled_length(info.frames, info.sample_rate, wanted)
    kept = cache.find(name, frames)
    if kept is None:
        samples = resample_blocks(decoded_blocks(path, channel), info.frames, info.sample_rate, wanted)
        kept = cache.keep(name, frames, samples, str(path))
    return Signal(kept), info
