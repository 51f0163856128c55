"""PESQ and STOI: how good, and how intelligible, speech would sound.

Both are computed on the CPU by the packages ``pesq`` and ``pystoi`` (extra: ``nam_like[speech]``), once per
signal. Signals that they refuse, or answer with a constant, are skipped; see :class:`ExampleMean`.

Sources: ITU-T P.862 and P.862.2 (PESQ); C. H. Taal et al., "An algorithm for intelligibility prediction of
time-frequency weighted noisy speech", 2011; extended: J. Jensen, C. H. Taal, 2016.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor
from typing_extensions import Self

from nam_like.config.base import Bool, PositiveInt
from nam_like.config.lines import refusal
from nam_like.metrics.base import exact_dtype
from nam_like.metrics.examples import ChannelConfig, ExampleMean, of_speech_extra

__all__ = ["PESQ", "STOI", "PESQConfig", "STOIConfig"]

Signal = NDArray[np.float32]
#: sampling rates that PESQ is defined for (Hz), with the mode that is usual there
PESQ_MODES: dict[int, Literal["wb", "nb"]] = {8000: "nb", 16000: "wb"}
#: what ``pystoi`` says where it returns a constant
TOO_FEW_FRAMES = "Not enough STFT frames"


def _each(measure: Callable[[Signal, Signal], float], prediction: Tensor, target: Tensor) -> Tensor:
    """Measure signal by signal: ``(C, T)`` twice → ``(C,)``; NaN for silence and what is not finite."""
    values = []
    for degraded, reference in zip(
        prediction.detach().float().cpu().numpy(), target.detach().float().cpu().numpy(), strict=True
    ):
        usable = all(np.isfinite(x).all() and x.any() for x in (degraded, reference))
        values.append(measure(degraded, reference) if usable else math.nan)
    return torch.tensor(values, dtype=exact_dtype(target.device), device=target.device)


class PESQ(ExampleMean):
    """Perceptual evaluation of speech quality: mean opinion scores from about 1 to 4.6.

    Args:
        fs: sampling rate of the signals, 8000 or 16000 Hz.
        mode: ``"wb"`` (wide band, 16 kHz only) or ``"nb"``; None for what is usual at the rate.
        channel: measure this channel only; None for all of them.

    Raises:
        MetricError: the package is not there.
    """

    skips: ClassVar[str] = "silent or shorter than 0.25 s"

    def __init__(self, fs: int, mode: Literal["wb", "nb"] | None = None, channel: int | None = None) -> None:
        super().__init__(channel)
        self.fs = fs
        self.mode = PESQ_MODES[fs] if mode is None else mode
        self._score = of_speech_extra("pesq.pesq", "PESQ")
        #: "no utterances detected", "shorter than a quarter of a second", and NaN within
        self._refusals = (
            of_speech_extra("pesq.NoUtterancesError", "PESQ"),
            of_speech_extra("pesq.BufferTooShortError", "PESQ"),
            ValueError,
        )

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(C, T)`` twice → ``(C,)``."""
        return _each(self._one, prediction, target)

    def _one(self, degraded: Signal, reference: Signal) -> float:
        try:
            return float(self._score(self.fs, reference, degraded, self.mode))
        except self._refusals:
            return math.nan


class STOI(ExampleMean):
    """Short-time objective intelligibility, 0 to 1; signals of any rate are resampled to 10 kHz.

    Args:
        fs: sampling rate of the signals (Hz).
        extended: the extended measure, which follows modulated noise.
        channel: measure this channel only; None for all of them.

    Raises:
        MetricError: the package is not there.
    """

    skips: ClassVar[str] = "silent or shorter than 0.4 s without pauses"

    def __init__(self, fs: int, extended: bool = False, channel: int | None = None) -> None:
        super().__init__(channel)
        self.fs = fs
        self.extended = extended
        self._score = of_speech_extra("pystoi.stoi", "STOI")

    def measure(self, prediction: Tensor, target: Tensor) -> Tensor:
        """``(C, T)`` twice → ``(C,)``."""
        return _each(self._one, prediction, target)

    def _one(self, degraded: Signal, reference: Signal) -> float:
        # The extended measure adds a little noise to its bands, from NumPy's global generator, which others
        # use as well.
        before: Any = np.random.get_state()  # noqa: NPY002
        try:
            np.random.seed(0)  # noqa: NPY002
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                value = float(self._score(reference, degraded, self.fs, extended=self.extended))
        finally:
            np.random.set_state(before)  # noqa: NPY002
        return math.nan if any(TOO_FEW_FRAMES in str(item.message) for item in said) else value


class PESQConfig(ChannelConfig):
    """Config of :class:`PESQ`."""

    fs: PositiveInt = Field(description="sampling rate of the signals, 8000 or 16000 (Hz)")
    mode: Literal["wb", "nb"] | None = Field(
        None,
        description="wide band (wb, 16 kHz only) or narrow band (nb); null for wb at 16 kHz, nb at 8 kHz",
    )

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        if self.fs not in PESQ_MODES:
            raise refusal(f"expected `fs` to be 8000 or 16000, but got {self.fs}", ("fs",), self.fs)
        if self.fs == 8000 and self.mode == "wb":
            raise refusal("expected `mode` nb at 8000 Hz, but got wb", ("mode",), self.mode)
        return self

    def build(self) -> PESQ:
        """Make the metric."""
        return PESQ(self.fs, self.mode, self.channel)


class STOIConfig(ChannelConfig):
    """Config of :class:`STOI`."""

    fs: PositiveInt = Field(description="sampling rate of the signals (Hz)")
    extended: Bool = Field(False, description="the extended measure (ESTOI)")

    def build(self) -> STOI:
        """Make the metric."""
        return STOI(self.fs, self.extended, self.channel)
