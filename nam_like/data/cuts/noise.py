"""Noise added to speech at a signal-to-noise ratio drawn at random."""

from __future__ import annotations

import bisect
import functools
import itertools
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nam_like.audio.mixing import gain_for_snr, mean_square
from nam_like.data.base import DataError
from nam_like.data.cuts.reading import FloatArray
from nam_like.data.cuts.signals import read_signals
from nam_like.data.cuts.sources import CutSource

__all__ = ["NoiseBank", "NoiseMixer"]

log = logging.getLogger(__name__)

_MOST = 1000
"""Noises that one example may be made of."""


@dataclass(frozen=True)
class NoiseBank:
    """Noises to draw from.

    Attributes:
        sources: of the noises.
        probabilities: of each source; within one all cuts are drawn equally often.
    """

    sources: Sequence[CutSource]
    probabilities: Sequence[float]

    def draw(self, rng: np.random.Generator) -> Any:
        """A cut."""
        ends = list(itertools.accumulate(self.probabilities))
        member = min(bisect.bisect_right(ends, float(rng.random()) * ends[-1]), len(ends) - 1)
        source = self.sources[member]
        return source.cut(int(rng.integers(len(source))))


@dataclass(frozen=True)
class NoiseMixer:
    """Adds noise to a signal.

    A noise that is longer than the signal is cut at random; where it is shorter, further ones follow, all
    equally loud, until the signal ends. The ratio is that of the whole signal to the whole noise.

    Attributes:
        bank: of the noises.
        snr_db: lowest and highest ratio, decibels; drawn evenly between them.
        probability: that a signal gets any.
        sample_rate: Hz.
    """

    bank: NoiseBank
    snr_db: tuple[float, float]
    probability: float
    sample_rate: int

    def __call__(self, speech: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return `speech` `(C, T)` with noise, or as it is.

        Raises:
            DataError: the noise has more channels than the speech and not one, or cannot be read.
        """
        # Three draws in any case: whether there is noise does not change what else is drawn.
        chance, level = float(rng.random()), float(rng.uniform(*self.snr_db))
        if chance >= self.probability:
            return speech
        noise = self._noise(len(speech), speech.shape[1], rng)
        return speech + noise * np.float32(gain_for_snr(speech, noise, level))

    def _noise(self, channels: int, length: int, rng: np.random.Generator) -> FloatArray:
        """Noise `(C, T)` or `(1, T)`."""
        parts: list[FloatArray] = []
        filled = 0
        level: float | None = None
        for _ in range(_MOST):
            cut = self.bank.draw(rng)
            part = self._part(cut, channels, length - filled, rng)
            power = mean_square(part)
            if power <= 0.0:
                _warn_of_silence(str(cut.id))
            elif level is None:
                level = power
            else:
                part = part * np.float32(math.sqrt(level / power))
            parts.append(part)
            filled += part.shape[1]
            if filled >= length:
                break
        else:
            raise DataError(
                f"expected noises that fill {length} samples, but got {filled} samples of {_MOST}"
            )
        most = max(len(part) for part in parts)
        whole = [np.broadcast_to(part, (most, part.shape[1])) for part in parts]
        return np.concatenate(whole, axis=1) if len(whole) > 1 else parts[0]

    def _part(self, cut: Any, channels: int, length: int, rng: np.random.Generator) -> FloatArray:
        """A piece of one noise, `length` samples at most."""
        wanted = length / self.sample_rate
        spare = cut.duration - wanted
        offset = float(rng.uniform(0.0, spare)) if spare > 0 else 0.0
        offset = math.floor(offset * self.sample_rate) / self.sample_rate
        signals = read_signals(
            cut, offset, min(wanted, cut.duration), self.sample_rate, require_target=False, only_input=True
        )
        noise = signals["input_signal"]
        if len(noise) not in (1, channels):
            if channels != 1:
                raise DataError(
                    f"noise {cut.id}: expected 1 or {channels} channels, as the speech has, but got "
                    f"{len(noise)}"
                )
            noise = noise[:1]
        return noise[:, :length]


@functools.lru_cache(maxsize=1000)
def _warn_of_silence(name: str) -> None:
    """Once per noise and process."""
    log.warning("noise %s is silent where it was cut: it adds nothing", name)
