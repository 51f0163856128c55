"""What an enhancement net is: from noisy to clean audio of the same length, and what its training compares.

A net of this family hears the whole input before it answers: its layers normalise over time or run backwards.
So there is no receptive field to speak of. Lengths make what it does with an item independent of how a batch
was padded.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nam_like.errors import HandshakeError
from nam_like.models.audio_net import AudioNet
from nam_like.models.enhancement.lengths import mask_frames
from nam_like.native.library import status

__all__ = ["Enhancer", "View", "full_lengths", "peak_of"]

#: What is compared in training: estimate, target, and how much of each item is valid, ``(B,)``.
View = tuple[Tensor, Tensor, Tensor]


def full_lengths(audio: Tensor, lengths: Tensor | None) -> Tensor:
    """The lengths ``(B,)``, or those of whole items where there are none."""
    if lengths is None:
        return torch.full((audio.shape[0],), audio.shape[-1], dtype=torch.long, device=audio.device)
    return lengths


def peak_of(audio: Tensor, normalize: bool) -> Tensor:
    """What items ``(B, C, T)`` are divided by before a net hears them, ``(B, 1, 1)``: their peaks, or one."""
    if not normalize:
        return torch.ones(audio.shape[0], 1, 1, dtype=audio.dtype, device=audio.device)
    return audio.abs().amax(dim=(1, 2), keepdim=True) + 1e-8


class Enhancer(AudioNet):
    """Base of enhancement nets.

    A subclass implements ``enhance(audio, lengths)`` and :meth:`views`.

    Class attributes:
        answers_in_views: whether the estimate of the view ``"time"`` is the net's answer. Nets that sample
            their answer are trained on something else.

    Attributes:
        in_channels: channels that the net hears; None where it takes any number.
        num_outputs: channels of its answer.
        needs_target: whether training needs targets; a net that does not takes its input for one.
        sample_rate: Hz; None until a run has seen its data.
    """

    __jit_unused_properties__: ClassVar[list[str]] = ["receptive_field"]

    causal: ClassVar[bool] = False
    answers_in_views: ClassVar[bool] = True

    def __init__(
        self, num_outputs: int = 1, in_channels: int | None = None, sample_rate: float | None = None
    ) -> None:
        super().__init__(sample_rate)
        self.num_outputs = num_outputs
        self.in_channels = in_channels
        self.needs_target = True

    @property
    def receptive_field(self) -> None:
        """None: an output may depend on the whole input."""
        return None

    def forward(self, input_signal: Tensor, input_length: Tensor | None = None) -> Tensor:
        """Enhance audio.

        Args:
            input_signal: ``(B, C, T)``.
            input_length: valid samples per item, ``(B,)``; None when all are.

        Returns:
            ``(B, num_outputs, T)``; zero behind the valid samples.
        """
        lengths = full_lengths(input_signal, input_length)
        return mask_frames(self.enhance(input_signal, lengths), lengths)

    def enhance(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """The net itself, ``(B, C, T)`` → ``(B, num_outputs, T)``."""
        raise NotImplementedError("expected a net with a method `enhance`, but got the base class")

    @torch.jit.unused
    def views(
        self, input_signal: Tensor, input_length: Tensor, target_signal: Tensor, domains: Sequence[str]
    ) -> dict[str, View]:
        """What a training step compares.

        Args:
            input_signal: ``(B, C, T)``.
            input_length: ``(B,)``.
            target_signal: ``(B, num_outputs, T)``.
            domains: of the views that are asked for: ``"time"`` for audio ``(B, C, T)`` with lengths in
                samples, ``"encoded"`` for spectrograms ``(B, C, F, N)`` with lengths in frames.

        Returns:
            At least these views.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define `views`")

    @torch.jit.unused
    def validation_answer(self, input_signal: Tensor, input_length: Tensor) -> Tensor:
        """What a validation scores: the answer, unless the net practises something else in its training."""
        answer: Tensor = self(input_signal, input_length)
        return answer

    @torch.jit.unused
    def runs_on(self, device: torch.device | str = "cpu") -> str:
        """One line for logs: what of the net the native kernels play on a device."""
        if torch.device(device).type != "cpu":
            return f"PyTorch on {device}"
        parts = (getattr(module, "kernel_parts", str)() for module in self.modules())
        named = ", ".join(dict.fromkeys(part for part in parts if part))
        return f"{status()} for {named}, PyTorch for the rest" if named else f"PyTorch on {device}"

    @torch.jit.unused
    def check_example(self, channels: int, target_channels: int | None, where: str) -> None:
        """Refuse examples whose channels do not fit.

        Raises:
            HandshakeError: the input or the target has another number of channels than the net.
        """
        if self.in_channels is not None and channels != self.in_channels:
            raise HandshakeError(
                f"{where}: expected input_signal to have {self.in_channels} channels, as the net, but got "
                f"{channels} (`input_channel_selector` chooses some)"
            )
        if target_channels is not None and target_channels != self.num_outputs:
            raise HandshakeError(
                f"{where}: expected target_signal to have {self.num_outputs} channels, as the net's answer, "
                f"but got {target_channels} (`target_channel_selector` chooses some)"
            )
