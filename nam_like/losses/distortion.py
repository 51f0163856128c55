"""The negative signal-to-distortion ratio as a loss; see :mod:`nam_like.losses.masked` for the sources."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Bool, Float, PositiveFloat, PositiveInt
from nam_like.config.lines import refusal
from nam_like.losses.errors import LossError
from nam_like.losses.masked import item_means, signal_to_distortion, valid
from nam_like.losses.padded import WeightedConfig, weights
from nam_like.losses.pre_emphasis import checked

__all__ = ["SDR", "SDRConfig"]


class SDR(nn.Module):
    """The negative ratio of the target's power to that of the error (dB), averaged over channels and items.

    Args:
        weight: share of each channel; None for equal shares.
        scale_invariant: measure against the nearest multiple of the target.
        convolution_invariant: measure against the nearest filtered target.
        convolution_filter_length: taps of that filter.
        remove_mean: take the means out of both signals first.
        sdr_max: soft upper limit of the ratio (dB), so that easy items do not outweigh the others; or None.
        eps: added to the powers, so that silence stays finite.
    """

    takes_lengths: ClassVar[bool] = True
    domain: ClassVar[Literal["time"]] = "time"
    weight: Tensor | None

    def __init__(
        self,
        *,
        weight: list[float] | None = None,
        scale_invariant: bool = False,
        convolution_invariant: bool = False,
        convolution_filter_length: int = 512,
        remove_mean: bool = True,
        sdr_max: float | None = None,
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weights(weight), persistent=False)
        self.scale_invariant = scale_invariant
        self.taps = convolution_filter_length if convolution_invariant else 0
        self.remove_mean = remove_mean
        self.sdr_max = sdr_max
        self.eps = eps

    def forward(self, prediction: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The negative mean ratio.

        Args:
            prediction: ``(B, C, T)`` or ``(B, T)``.
            target: of the same shape.
            lengths: valid samples of each item ``(B,)``; None where all are.

        Returns:
            Scalar (dB).

        Raises:
            LossError: shapes that do not go together, or no waveforms.
        """
        prediction, target = checked(prediction, target, None)
        if prediction.ndim == 2:
            prediction, target = prediction.unsqueeze(1), target.unsqueeze(1)
        if prediction.ndim != 3 or prediction.is_complex():
            raise LossError(
                f"expected waveforms (B, C, T), but got {prediction.dtype} of {prediction.ndim} axes"
            )
        ratios = signal_to_distortion(
            prediction,
            target,
            valid(lengths, prediction),
            scale_invariant=self.scale_invariant,
            convolution_taps=self.taps,
            remove_mean=self.remove_mean,
            sdr_max=self.sdr_max,
            eps=self.eps,
        )
        return -item_means(ratios, self.weight)


class SDRConfig(WeightedConfig):
    """Config of :class:`SDR`."""

    scale_invariant: Bool = Field(
        False, description="measure against the nearest multiple of the target (SI-SDR)"
    )
    convolution_invariant: Bool = Field(
        False, description="measure against the target through the filter that brings it nearest (CI-SDR)"
    )
    convolution_filter_length: PositiveInt = Field(512, description="taps of that filter (samples)")
    remove_mean: Bool = Field(True, description="take the means out of both signals first")
    sdr_max: Float | None = Field(None, description="soft upper limit of the ratio (dB); null for none")
    eps: PositiveFloat = Field(1e-8, description="added to the powers, so that silence stays finite")
    domain: Literal["time"] = Field("time", description="the ratio is one of waveforms")

    @model_validator(mode="after")
    def _one_invariance(self) -> Self:
        if self.scale_invariant and self.convolution_invariant:
            raise refusal(
                "expected `scale_invariant` or `convolution_invariant` (which includes it), but got both",
                ("convolution_invariant",),
                True,
            )
        return self

    def build(self) -> SDR:
        """Make the loss."""
        options = {name: getattr(self, name) for name in type(self).model_fields if name != "domain"}
        return SDR(**options)
