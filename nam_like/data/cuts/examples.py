"""From a cut to an example: window, samples, noise, room, normalisation, in this order.

Everything random is a function of one seed per example. The order of augmentations is that of NeMo
(``"nemo"``: noise is added, then both sound in the same room), or ``"rir_then_noise"``: speech alone sounds
in the room, and noise is added to it. The target is neither noisy nor reverberant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from nam_like.data.base import DataError
from nam_like.data.cuts.noise import NoiseMixer
from nam_like.data.cuts.reading import FloatArray
from nam_like.data.cuts.responses import Reverberation
from nam_like.data.cuts.signals import common_grid, embedding_of, is_mixed, read_signals
from nam_like.data.cuts.windows import OffsetType, window
from nam_like.data.segments import mix_seed
from nam_like.data.speech_batch import Example

__all__ = ["AugmentOrder", "ExampleMaker", "Signal", "normalize"]

AugmentOrder: TypeAlias = Literal["nemo", "rir_then_noise"]
Signal: TypeAlias = Literal["input_signal", "target_signal", "reference_signal"]

_WINDOW, _NOISE, _ROOM = 1, 2, 3
_EPS = 1e-8


@dataclass(frozen=True)
class ExampleMaker:
    """Makes examples of cuts.

    Attributes:
        sample_rate: Hz, of all signals.
        truncate_duration: longest example, seconds; None keeps cuts whole.
        truncate_offset_type: which part of a longer cut is taken.
        channel_selector: see :func:`nam_like.data.cuts.signals.read_signals`.
        normalization_signal: all signals are divided by this one's peak.
        require_target: whether cuts must have a ``target_recording``.
        noise: adds noise to the input.
        reverberation: lets the input sound in a room.
        augment_order: see the module.
    """

    sample_rate: int
    truncate_duration: float | None = None
    truncate_offset_type: OffsetType = "random"
    channel_selector: int | str | None = None
    normalization_signal: Signal | None = None
    require_target: bool = True
    noise: NoiseMixer | None = None
    reverberation: Reverberation | None = None
    augment_order: AugmentOrder = "nemo"

    def seconds(self, duration: float) -> float:
        """How long the example of a cut is."""
        return duration if self.truncate_duration is None else min(duration, self.truncate_duration)

    def __call__(self, cut: Any, seed: int, tags: Mapping[str, Any] | None = None) -> Example:
        """Make the example of a cut.

        Args:
            cut: a Lhotse cut.
            seed: of everything random.
            tags: words about where it comes from.

        Raises:
            DataError: a signal is missing, too short, or cannot be read.
        """
        offset, duration = self._window(cut, seed)
        signals = read_signals(
            cut,
            offset,
            duration,
            self.sample_rate,
            channel_selector=self.channel_selector,
            require_target=self.require_target,
        )
        signals["input_signal"] = self._augmented(signals["input_signal"], seed)
        if self.normalization_signal is not None:
            signals = normalize(signals, self.normalization_signal, f"cut {cut.id}")
        return Example(
            name=str(cut.id),
            signals={key: _tensor(value) for key, value in signals.items()},
            embedding=embedding_of(cut),
            tags={str(key): str(value) for key, value in (tags or {}).items()},
        )

    def _window(self, cut: Any, seed: int) -> tuple[float, float]:
        longest = self.truncate_duration
        if longest is None or cut.duration <= longest:
            return 0.0, float(cut.duration)
        grid = common_grid(cut, self.sample_rate)
        rng = np.random.default_rng(mix_seed(seed, _WINDOW))
        start = 0.0 if is_mixed(cut) else float(cut.start)
        return window(start, float(cut.duration), longest, kind=self.truncate_offset_type, grid=grid, rng=rng)

    def _augmented(self, signal: FloatArray, seed: int) -> FloatArray:
        # Each has its own generator, so that switching one on leaves the other as it is.
        steps = [(self.noise, _NOISE), (self.reverberation, _ROOM)]
        if self.augment_order == "rir_then_noise":
            steps.reverse()
        for step, number in steps:
            if step is not None:
                signal = step(signal, np.random.default_rng(mix_seed(seed, number)))
        return signal


def _tensor(samples: FloatArray) -> Tensor:
    """The samples `(C, T)` as a tensor."""
    # Not a transposed (T, 1): torch copies a row whose stride is 1 fifty times as slowly.
    return torch.from_numpy(np.ascontiguousarray(samples).reshape(-1)).view(samples.shape)


def normalize(signals: Mapping[str, FloatArray], key: str, where: str) -> dict[str, FloatArray]:
    """Divide all signals by the largest magnitude of one of them, over its channels.

    Raises:
        DataError: there is no such signal.
    """
    if key not in signals:
        raise DataError(f"{where}: expected a {key}, which is `normalization_signal`, but got none")
    peak = float(np.abs(signals[key]).max(initial=0.0))
    return {name: value / np.float32(peak + _EPS) for name, value in signals.items()}
