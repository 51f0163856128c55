"""Causal mask nets on a stream: audio goes in as it comes, and comes out one frame later.

Works with nets that hear no future: an STFT, an estimator that keeps its state from frame to frame
(``MaskEstimatorRNN`` with ``bidirectional: false``), a mask on a reference channel, the inverse STFT. What
comes out is what the net makes of the whole signal, up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nam_like.audio.multichannel import Block
from nam_like.errors import UserError
from nam_like.export.enhance.model import EnhancementModel
from nam_like.export.quiet_jit import quiet_jit

__all__ = ["StreamingEnhancer", "needs_peak"]

_PARTS = ("encoder", "mask_estimator", "mask_processor", "decoder")
#: Mask processors that look at one frame at a time, by the names of their classes.
_FRAMEWISE = ("MaskReferenceChannel",)


class StreamingEnhancer:
    """Enhances a stream, and keeps what the net remembers between the calls.

    Use either :meth:`process`, which answers every block with one of the same length and delays by
    :attr:`latency`, or :meth:`feed` and :meth:`finish`, which give every sample as soon as it is known and do
    not delay the signal.

    Args:
        model: as :func:`~nam_like.export.enhance.model.load_model` gives it; its net may also be an eager
            one.
        peak: largest absolute sample of the whole signal. Nets with ``normalize_input`` divide by it, and
            cannot do without; others do not look at it.

    Attributes:
        latency: samples by which :meth:`process` delays: the length of a frame (``fft_length``).

    Raises:
        UserError: the net needs more of the signal than a stream has.
    """

    def __init__(self, model: EnhancementModel, peak: float | None = None) -> None:
        net = _net_of(model)
        if net.normalize_input and peak is None:
            raise UserError(
                f"{model.path}: expected the peak of the whole signal, because the net was trained with "
                "normalize_input, but got none"
            )
        self.model = model
        self.latency = int(net.encoder.fft_length)
        self._net = net
        self._level = float(peak or 0.0) + 1e-8 if net.normalize_input else 1.0
        self._hop = int(net.encoder.hop_length)
        self._square = net.decoder.window.square()
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first of a new stream."""
        device, overlap = self.model.device, self.latency - self._hop
        self._state: list[Tensor] = []
        self._heard: Tensor | None = None  # from the start of the next frame on, (C, n)
        self._open: Tensor | None = None  # what frames so far add to those to come, (C_out, fft − hop)
        self._weight = torch.zeros(overlap, device=device)  # the same of the squared windows
        self._frames = self._received = self._given = 0
        self._before = self.latency // 2  # samples still to come before the first one
        self._waiting: Block | None = None

    def feed(self, audio: Block) -> Block:
        """Take the next samples, and give those that are known by now.

        Args:
            audio: ``(C, n)``, any n.

        Returns:
            ``(C_out, m)``. After t samples in all, more than t − :attr:`latency` have been given.

        Raises:
            UserError: another number of channels than before.
        """
        self._received += audio.shape[1]
        with quiet_jit(), torch.inference_mode():
            return self._through(torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32)))

    def finish(self) -> Block:
        """Say that the stream has ended, get the rest of its samples, and :meth:`reset`.

        Raises:
            UserError: there was no audio.
        """
        if self._received == 0 or self._heard is None:
            raise UserError("expected a stream of at least one sample, but got none")
        with quiet_jit(), torch.inference_mode():
            # As many frames as the whole signal has: one around every multiple of the hop.
            left = 1 + self._received // self._hop - self._frames
            zeros = (left - 1) * self._hop + self.latency - self._heard.shape[1]
            last = self._through(torch.zeros(self._heard.shape[0], zeros))
            if self._open is None:
                raise RuntimeError("expected an open frame at the end of a stream, but got none")
            rest = slice(self._before, self._before + self._received - self._given)
            tail = self._given_out(self._open[:, rest] / self._weight[rest])
        self.reset()
        return np.concatenate((last, tail), axis=1)

    def process(self, audio: Block) -> Block:
        """Answer a block with one of the same length, :attr:`latency` samples late.

        Args:
            audio: ``(C, n)``, any n.

        Returns:
            ``(C_out, n)``; the first :attr:`latency` samples of a stream are zeros.

        Raises:
            UserError: another number of channels than before.
        """
        ready = self.feed(audio)
        if self._waiting is None:
            self._waiting = np.zeros((ready.shape[0], self.latency), dtype=np.float32)
        queue = np.concatenate((self._waiting, ready), axis=1)
        self._waiting = queue[:, audio.shape[1] :]
        return queue[:, : audio.shape[1]]

    def _through(self, audio: Tensor) -> Block:
        """All frames that are complete now, and the samples that no later frame adds to."""
        audio = audio.to(self.model.device)
        if self._heard is None:
            self._heard = torch.zeros(audio.shape[0], self.latency // 2, device=audio.device)
        if audio.shape[0] != self._heard.shape[0]:
            raise UserError(f"expected {self._heard.shape[0]} channels as before, but got {audio.shape[0]}")
        self._heard = torch.cat((self._heard, audio / self._level), dim=1)
        count = 1 + (self._heard.shape[1] - self.latency) // self._hop
        if count < 1:
            return np.zeros((int(self._net.num_outputs), 0), dtype=np.float32)
        frames = self._heard.unfold(1, self.latency, self._hop)
        summed = self._added(self._answer(frames) * self._level)
        weight = self._added(self._square.expand(1, count, -1))[0]
        overlap, settled = self.latency - self._hop, count * self._hop
        if self._open is not None:
            summed[:, :overlap] += self._open
        weight[:overlap] += self._weight
        self._open, self._weight = summed[:, settled:].clone(), weight[settled:].clone()
        self._heard = self._heard[:, settled:].clone()
        self._frames += count
        skipped = min(self._before, settled)
        self._before -= skipped
        return self._given_out(summed[:, skipped:settled] / weight[skipped:settled])

    def _answer(self, frames: Tensor) -> Tensor:
        """The net on frames ``(C, N, fft)``: its answer, windowed, ``(C_out, N, fft)``."""
        net = self._net
        try:
            spectrogram = net.encoder.analyze(frames[None])
            masks, self._state = net.mask_estimator.stream_frames(spectrogram, self._state)
            valid = torch.full((1,), frames.shape[1], dtype=torch.long, device=frames.device)
            estimate = net.mask_processor(spectrogram, valid, masks)
            if net.is_consistent:
                mixture = spectrogram[:, net.ref_channel : net.ref_channel + 1]
                estimate = net.mixture_consistency(mixture, estimate)
            made: Tensor = net.decoder.synthesize(estimate)[0]
        except (RuntimeError, ValueError) as error:
            raise self.model.refusal(frames.shape[0], error) from error
        return made

    def _added(self, frames: Tensor) -> Tensor:
        """Frames ``(C, N, fft)`` added up where they overlap, ``(C, (N − 1) · hop + fft)``."""
        length = (frames.shape[1] - 1) * self._hop + self.latency
        columns = frames.transpose(1, 2)
        return F.fold(columns, (1, length), (1, self.latency), stride=(1, self._hop))[:, 0, 0]

    def _given_out(self, samples: Tensor) -> Block:
        self._given += samples.shape[1]
        return self.model.checked(samples[None], samples.shape[1])


def needs_peak(model: EnhancementModel) -> bool:
    """Whether a :class:`StreamingEnhancer` of the net must know the signal's peak.

    Raises:
        UserError: the net cannot run on a stream.
    """
    return bool(_net_of(model).normalize_input)


def _net_of(model: EnhancementModel) -> Any:
    """The module that has the parts of a mask net.

    Raises:
        UserError: there is none, or one of its parts needs the whole signal.
    """
    for module in model.net.modules():
        if all(hasattr(module, name) for name in _PARTS):
            obstacle = _obstacle(module)
            break
    else:
        module, obstacle = None, "it is no MaskEnhancer"
    if obstacle:
        raise UserError(
            f"{model.path}: this net cannot run on a stream: {obstacle} (a causal one is a MaskEnhancer with "
            "a MaskEstimatorRNN, bidirectional: false, and a MaskReferenceChannel)"
        )
    return module


def _obstacle(net: Any) -> str:
    """What of a mask net needs the future; empty when nothing does."""
    if not hasattr(net.mask_estimator, "stream_frames"):
        return f"its mask_estimator, a {_class_of(net.mask_estimator)}, hears the whole signal"
    if not net.mask_estimator.causal:
        return "its mask_estimator is bidirectional"
    if _class_of(net.mask_processor) not in _FRAMEWISE:
        return f"its mask_processor, a {_class_of(net.mask_processor)}, weighs the whole signal"
    if 2 * net.encoder.hop_length > net.encoder.fft_length:
        return f"its frames of {net.encoder.fft_length} samples are {net.encoder.hop_length} apart, over half"
    return ""


def _class_of(module: Any) -> str:
    """The name of a module's class, also of a scripted one."""
    return str(getattr(module, "original_name", type(module).__name__))
