"""Our own signal to re-amp gear with: everything a capture needs, documented sample by sample.

Played through an amp or pedal and recorded, it gives the wet side of a data set; the signal itself is the
dry side. It is made from a fixed seed by this file alone, so nobody needs to download it.
`docs/capture-signal.md` describes its parts and why they are there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from nam_like.audio.errors import AudioError
from nam_like.audio.io import audio_info, decoded_blocks
from nam_like.audio.level import db_to_gain, rms
from nam_like.audio.strings import midi_to_hz, pluck, strum
from nam_like.errors import UserError

__all__ = [
    "CaptureSignal",
    "Section",
    "SignalLayout",
    "capture_signal",
    "recognised",
    "repeatability",
    "split_for",
]

Float64Array: TypeAlias = npt.NDArray[np.float64]
Length: TypeAlias = Literal["full", "short"]
Maker: TypeAlias = Callable[[int, int, np.random.Generator], Float64Array]

SEED = 20260101
PEAK = db_to_gain(-1.1)
SILENCE_SECONDS = 0.6
BLIP_SECONDS = (0.6, 1.6)
"""Where in the section of blips they begin."""
BLIP_SHAPE = np.array([1.0, 8.0, 28.0, 56.0, 70.0, 56.0, 28.0, 8.0, 1.0]) / 70.0
"""A lone sample would have as much energy at half the sample rate as anywhere, and the filters of converters
would ring before it for many samples; this has none there, and still begins at once."""
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 6, 7, 10))
CHORDS = ((0, 7, 12), (0, 7, 12, 16, 19, 24), (0, 7, 12, 15, 19, 24), (0, 4, 7, 10), (0, 5, 10, 14), (0, 6))


@dataclass(frozen=True)
class Section:
    """One part of the signal.

    Attributes:
        name: what it is; unique.
        start: first sample.
        stop: one past the last sample.
        description: what it contains, for people.
    """

    name: str
    start: int
    stop: int
    description: str


@dataclass(frozen=True)
class SignalLayout:
    """The signal's table of contents.

    Attributes:
        sample_rate: Hz.
        sections: every sample belongs to exactly one, in order.
        blips: first sample of each blip.
        noise_window: a part before the blips in which only the noise of the gear is heard, in samples.
    """

    sample_rate: int
    sections: tuple[Section, ...]
    blips: tuple[int, ...]
    noise_window: tuple[int, int]

    def section(self, name: str) -> Section:
        """Return the section of that name.

        Raises:
            KeyError: there is none.
        """
        for section in self.sections:
            if section.name == name:
                return section
        raise KeyError(name)


@dataclass(frozen=True)
class CaptureSignal(SignalLayout):
    """The signal and its table of contents.

    Attributes:
        samples: `(L,)`, multiples of 2^−23, so that 24-bit files and `float32` hold them exactly.
    """

    samples: Float64Array


def capture_signal(sample_rate: int = 48000, *, length: Length = "full", seed: int = SEED) -> CaptureSignal:
    """Make the signal.

    Args:
        sample_rate: Hz, at least 16000.
        length: `full`, 144 s for real gear, or `short`, 25 s for demonstrations.
        seed: another one gives other notes and noise of the same kind.

    Raises:
        UserError: the sample rate is too low or the length is unknown.
    """
    if sample_rate < 16000:
        raise UserError(f"expected `sample_rate` to be at least 16000 Hz, but got {sample_rate}")
    if length not in ("full", "short"):
        raise UserError(f"expected `length` to be full or short, but got {length!r}")
    layout = _layout(sample_rate, length)
    pieces = [
        maker(section.stop - section.start, sample_rate, np.random.default_rng([seed, stream]))
        for section, (_, _, (maker, stream), _) in zip(layout.sections, _plan(length), strict=True)
    ]
    return CaptureSignal(**vars(layout), samples=np.rint(np.concatenate(pieces) * 2.0**23) / 2.0**23)


def split_for(signal: SignalLayout) -> dict[str, dict[str, int]]:
    """Return the `train` and `validation` regions for data.json, as `start_samples` and `stop_samples`.

    Training goes from the first sweep to the silence before the validation passage; validation is the first
    take of that passage. Both follow at least half a second of digital silence.
    """
    train_start = signal.section("sweeps").start
    train_stop = signal.section("silence before validation").start
    validation = signal.section("validation 1")
    return {
        "train": {"start_samples": train_start, "stop_samples": train_stop},
        "validation": {"start_samples": validation.start, "stop_samples": validation.stop},
    }


def recognised(path: str | Path) -> SignalLayout | None:
    """The contents of a file that holds the signal, of either length and any rate; None of any other file.

    Args:
        path: an audio file; its length and its first seconds are looked at.

    Raises:
        AudioError: it is not an audio file that can be read.
    """
    info = audio_info(path)
    if info.channels != 1:
        return None
    for length in get_args(Length):
        layout = _layout(info.sample_rate, length)
        if info.frames != layout.sections[-1].stop:
            continue
        blips = layout.section("blips")
        expected = np.zeros(blips.stop)
        expected[blips.start :] = _blips(blips.stop - blips.start, info.sample_rate, np.random.default_rng(0))
        if np.allclose(next(decoded_blocks(path, None, blips.stop)), expected, rtol=0.0, atol=2.0**-15):
            return layout
    return None


def repeatability(wet: npt.NDArray[np.floating], signal: SignalLayout, delay: int = 0) -> float:
    """Return the error-to-signal ratio of the two takes of the validation passage; 0 is perfect.

    No capture can get a lower ESR than about half of this: gear that drifts, hums or has a chorus does not
    sound like itself. Above 0.01 the recording wants another try.

    Args:
        wet: `(L,)`, the recording.
        signal: what was played.
        delay: samples by which ``wet`` is late.

    Raises:
        AudioError: the recording ends before the second take does, or the first take is silent.
    """
    takes = []
    for name in ("validation 1", "validation 2"):
        section = signal.section(name)
        start, stop = section.start + delay, section.stop + delay
        if start < 0 or stop > wet.shape[0]:
            raise AudioError(f"expected a recording of at least {stop} samples, but got {wet.shape[0]}")
        takes.append(wet[start:stop].astype(np.float64))
    if not np.any(takes[0]):
        raise AudioError("expected the first take of the validation passage to hold sound, but it is silent")
    return float(np.sum((takes[1] - takes[0]) ** 2) / np.sum(takes[0] ** 2))


def _layout(sample_rate: int, length: Length) -> SignalLayout:
    """Where everything is."""
    sections: list[Section] = []
    position = 0
    for name, seconds, _, description in _plan(length):
        count = round(seconds * sample_rate)
        sections.append(Section(name, position, position + count, description))
        position += count
    start = next(section.start for section in sections if section.name == "blips")
    blips = tuple(start + round(seconds * sample_rate) for seconds in BLIP_SECONDS)
    noise_window = (start + round(0.1 * sample_rate), start + round(0.5 * sample_rate))
    return SignalLayout(sample_rate, tuple(sections), blips, noise_window)


def _plan(length: Length) -> list[tuple[str, float, tuple[Maker, int], str]]:
    """Return name, seconds, maker with its random stream, and description of every section."""
    full = length == "full"
    silence = (_silence, 0)
    validation = "the same passage twice: notes, chords, a sweep and tones that training never hears"
    return [
        ("silence at the start", SILENCE_SECONDS, silence, "digital zero"),
        ("blips", 2.4, (_blips, 0), "two clicks of nine samples at 88 % of full scale, for the delay"),
        ("silence before training", SILENCE_SECONDS, silence, "digital zero"),
        (
            "sweeps",
            16.0 if full else 2.0,
            (_sweeps, 1),
            "sine sweeps up, 20 Hz to 20 kHz, from loud to quiet",
        ),
        ("noise", 12.0 if full else 1.6, (_noise, 2), "noise, white and dark in turn, −60 to −12 dBFS"),
        ("tones", 24.0 if full else 2.4, (_tones, 3), "decaying tones and pairs of tones, 40 Hz to 5 kHz"),
        ("notes", 34.0 if full else 4.0, (_notes, 4), "plucked notes and palm mutes over the fretboard"),
        ("chords", 34.0 if full else 4.4, (_chords, 5), "strummed chords from two to six strings"),
        ("silence before validation", SILENCE_SECONDS, silence, "digital zero"),
        ("validation 1", 9.0 if full else 2.4, (_validation, 6), validation),
        ("silence between the takes", SILENCE_SECONDS, silence, "digital zero"),
        ("validation 2", 9.0 if full else 2.4, (_validation, 6), validation),
        ("silence at the end", 1.0, silence, "digital zero; lets the last note ring out"),
    ]


def _silence(count: int, sample_rate: int, rng: np.random.Generator) -> Float64Array:
    """Return digital zero."""
    return np.zeros(count)


def _blips(count: int, sample_rate: int, rng: np.random.Generator) -> Float64Array:
    """Return the two blips."""
    out = np.zeros(count)
    for seconds in BLIP_SECONDS:
        start = round(seconds * sample_rate)
        out[start : start + BLIP_SHAPE.size] = PEAK * BLIP_SHAPE
    return out


def _fade(samples: Float64Array, sample_rate: int, seconds: float = 0.005) -> Float64Array:
    """Return the samples with both ends brought smoothly to zero."""
    count = min(round(seconds * sample_rate), samples.size // 2)
    if count == 0:
        return samples
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(count) / count)
    faded = samples.copy()
    faded[:count] *= ramp
    faded[-count:] *= ramp[::-1]
    return faded


def _parts(count: int, number: int) -> list[tuple[int, int]]:
    """Return start and stop of ``number`` equal parts of ``count`` samples."""
    edges = [count * index // number for index in range(number + 1)]
    return list(itertools.pairwise(edges))


def _sweep(count: int, sample_rate: int) -> Float64Array:
    """Return an exponential sine sweep of amplitude 1 from 20 Hz to 20 kHz (or 45 % of the sample rate)."""
    low, high = 20.0, min(20000.0, 0.45 * sample_rate)
    rate = np.log(high / low)
    time = np.arange(count) / count
    phase = 2.0 * np.pi * low * (count / sample_rate) / rate * (np.exp(rate * time) - 1.0)
    return _fade(np.sin(phase), sample_rate)


def _sweeps(count: int, sample_rate: int, rng: np.random.Generator) -> Float64Array:
    """Return four sweeps, each 12 dB below the one before."""
    out = np.zeros(count)
    for index, (start, stop) in enumerate(_parts(count, 4)):
        out[start:stop] = PEAK * db_to_gain(-12.0 * index) * _sweep(stop - start, sample_rate)
    return out


def _noise(count: int, sample_rate: int, rng: np.random.Generator) -> Float64Array:
    """Return eight pieces of noise in random order of level, white and low-passed in turn."""
    from scipy.signal import butter, sosfilt

    dark = butter(1, 800.0, fs=sample_rate, output="sos")
    out = np.zeros(count)
    levels = rng.permutation(np.linspace(-60.0, -12.0, 8))
    for index, (start, stop) in enumerate(_parts(count, 8)):
        piece = rng.standard_normal(stop - start)
        if index % 2:
            piece = sosfilt(dark, piece)
        piece *= db_to_gain(float(levels[index])) / rms(piece)
        out[start:stop] = _fade(np.clip(piece, -PEAK, PEAK), sample_rate)
    return out


def _tones(count: int, sample_rate: int, rng: np.random.Generator) -> Float64Array:
    """Return decaying tones, every third one a pair a musical interval apart."""
    out = np.zeros(count)
    number = max(round(count / (0.4 * sample_rate)), 1)
    for index, (start, stop) in enumerate(_parts(count, number)):
        time = np.arange(stop - start) / sample_rate
        frequency = float(np.exp(rng.uniform(np.log(40.0), np.log(5000.0))))
        tone = np.sin(2.0 * np.pi * frequency * time)
        if index % 3 == 2:
            interval = 2.0 ** (rng.integers(1, 13) / 12.0)
            tone = 0.5 * (tone + np.sin(2.0 * np.pi * frequency * interval * time))
        decay = np.exp(-time / rng.uniform(0.05, 0.25))
        amplitude = PEAK * db_to_gain(float(rng.uniform(-24.0, 0.0)))
        out[start:stop] = amplitude * _fade(tone * decay, sample_rate, 0.002)
    return out


def _place(out: Float64Array, start: int, sound: Float64Array, amplitude: float) -> None:
    """Add a sound at a place, cut off at the end."""
    stop = min(start + sound.size, out.size)
    out[start:stop] += amplitude * sound[: stop - start]


def _finish(out: Float64Array, sample_rate: int) -> Float64Array:
    """Bring the peak of a passage to :data:`PEAK` and its ends to zero."""
    return _fade(out * (PEAK / max(float(np.max(np.abs(out))), 1e-12)), sample_rate)


def _notes(count: int, sample_rate: int, rng: np.random.Generator) -> Float64Array:
    """Return a melody from E2 to E6: hard and soft, long, short and muted."""
    out = np.zeros(count)
    position, step = 0, 0
    root = 40
    while position < count:
        if step % 16 == 0:
            root = int(rng.integers(40, 53))
            scale = SCALES[int(rng.integers(len(SCALES)))]
        degree = int(rng.integers(0, 2 * len(scale)))
        note = min(
            root + 12 * (degree // len(scale)) + scale[degree % len(scale)] + 12 * int(rng.integers(2)), 88
        )
        muted = rng.random() < 0.25
        duration = float(rng.choice([0.12, 0.2, 0.35, 0.7, 1.2]))
        sound = pluck(
            midi_to_hz(note),
            round((0.3 if muted else duration + 0.1) * sample_rate),
            sample_rate,
            rng,
            decay_seconds=0.25 if muted else float(rng.uniform(1.5, 5.0)),
            brightness=float(rng.uniform(0.1, 1.0)),
            position=float(rng.uniform(0.06, 0.35)),
        )
        _place(out, position, sound, db_to_gain(float(rng.uniform(-30.0, 0.0))))
        position += round(duration * sample_rate)
        step += 1
    return _finish(out, sample_rate)


def _chords(count: int, sample_rate: int, rng: np.random.Generator) -> Float64Array:
    """Return strummed chords, some choked, some left to ring over the next."""
    out = np.zeros(count)
    position = 0
    while position < count:
        root = int(rng.integers(40, 55))
        notes = tuple(root + step for step in CHORDS[int(rng.integers(len(CHORDS)))])
        duration = float(rng.choice([0.25, 0.5, 1.0, 2.0]))
        ringing = duration + float(rng.choice([0.02, 0.5]))
        sound = strum(
            notes if rng.random() < 0.7 else notes[::-1],
            round(ringing * sample_rate),
            sample_rate,
            rng,
            spread_seconds=float(rng.uniform(0.003, 0.025)),
            decay_seconds=float(rng.uniform(1.0, 5.0)),
            brightness=float(rng.uniform(0.2, 1.0)),
        )
        _place(out, position, sound, db_to_gain(float(rng.uniform(-30.0, 0.0))))
        position += round(duration * sample_rate)
    return _finish(out, sample_rate)


def _validation(count: int, sample_rate: int, rng: np.random.Generator) -> Float64Array:
    """Return one take of the validation passage: 45 % notes, 40 % chords, 7 % a sweep, 8 % tones."""
    edges = [round(part * count) for part in (0.0, 0.45, 0.85, 0.92, 1.0)]
    lengths = np.diff(edges)
    return np.concatenate(
        [
            _notes(int(lengths[0]), sample_rate, rng),
            _chords(int(lengths[1]), sample_rate, rng),
            PEAK * db_to_gain(-9.0) * _sweep(int(lengths[2]), sample_rate),
            _tones(int(lengths[3]), sample_rate, rng),
        ]
    )
