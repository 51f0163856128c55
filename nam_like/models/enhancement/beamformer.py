"""Mask-based beamformers: filters over microphones, steered by masks of what is wanted and what is not.

    Φs = Σ_n m·x·xᴴ / Σ_n m, and Φn the same with the masks of everything else     per frequency
    rank one    W = Φn⁻¹ Φs / (β + tr Φn⁻¹ Φs)         (β = 0: MVDR)
    full rank   W = (Φs + β Φn)⁻¹ Φs
    y = wᴴ x, where w is the column of W that belongs to the reference channel

Source: M. Souden, J. Benesty, S. Affes, "On Optimal Frequency-Domain Multichannel Linear Filtering for Noise
Reduction", 2010; E. Warsitz, R. Haeb-Umbach, "Blind Acoustic Beamforming Based on Generalized Eigenvalue
Decomposition", 2007 (blind analytic normalisation, the postfilter).
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor, nn
from typing_extensions import Self

from nam_like.config.base import Config, Float, NonNegativeFloat, PositiveFloat, describe
from nam_like.config.lines import refusal
from nam_like.models.enhancement.lengths import frame_mask
from nam_like.models.enhancement.masking import amplitude, check_limits, refuse_limits

__all__ = ["MaskBasedBeamformer", "MaskBasedBeamformerConfig", "covariance"]


def covariance(x: Tensor, mask: Tensor, eps: float) -> Tensor:
    """Covariances over channels, weighted by masks over time.

    Args:
        x: ``(B, C, F, N)``, complex.
        mask: ``(B, M, F, N)``, real, of the same precision.
        eps: added to the sum of the weights.

    Returns:
        ``(B, M, F, C, C)``.
    """
    weights = mask / (mask.sum(dim=-1, keepdim=True) + eps)
    weighted = weights.unsqueeze(2) * x.unsqueeze(1)  # (B, M, C, F, N)
    left = weighted.permute(0, 1, 3, 2, 4)
    right = x.unsqueeze(1).permute(0, 1, 3, 4, 2).conj()
    return torch.matmul(left, right)


def _loaded(covariances: Tensor, diag_reg: float, eps: float) -> Tensor:
    """With a little more on the diagonal, so that it can be inverted."""
    power = torch.diagonal(covariances, dim1=-2, dim2=-1).sum(dim=-1).real
    eye = torch.eye(covariances.shape[-1], dtype=covariances.dtype, device=covariances.device)
    return covariances + (diag_reg * power + eps)[..., None, None] * eye


def _quadratic(filters: Tensor, covariances: Tensor) -> Tensor:
    """wᴴ Φ w for each column: ``(B, M, F, C, R)`` → ``(B, M, F, R)``."""
    return (filters.conj() * torch.matmul(covariances, filters)).sum(dim=-2).real


class MaskBasedBeamformer(nn.Module):
    """Parametric multichannel Wiener filter or MVDR, computed in float64.

    Args:
        filter_type: ``pmwf``, or ``mvdr_souden`` (rank one, β = 0).
        filter_beta: how much noise reduction is worth against distortion.
        filter_rank: ``one`` or ``full``.
        filter_postfilter: ``ban`` for blind analytic normalisation, or None.
        ref_channel: a channel; ``max_snr`` for the one with the highest estimated ratio; None for an output
            per channel.
        mask_min_db: least mask (dB).
        mask_max_db: largest mask (dB).
        postmask_min_db: least mask that the output is multiplied by (dB); with the default limits it is not.
        postmask_max_db: largest.
        diag_reg: loading of the covariances, relative to their trace.
        eps: least loading.

    Raises:
        ValueError: an unknown or impossible combination.
    """

    def __init__(
        self,
        *,
        filter_type: str = "mvdr_souden",
        filter_beta: float = 0.0,
        filter_rank: str = "one",
        filter_postfilter: str | None = None,
        ref_channel: int | str | None = 0,
        mask_min_db: float = -200.0,
        mask_max_db: float = 0.0,
        postmask_min_db: float = 0.0,
        postmask_max_db: float = 0.0,
        diag_reg: float = 1e-6,
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        if filter_type not in ("pmwf", "mvdr_souden"):
            raise ValueError(f"Unknown filter type {filter_type}")
        if filter_type == "mvdr_souden":
            filter_beta, filter_rank = 0.0, "one"
        if filter_rank not in ("one", "full"):
            raise ValueError(f"expected filter_rank one or full, but got {filter_rank}")
        if filter_rank == "full" and filter_beta == 0:
            raise ValueError(f"Rank {filter_rank} is not compatible with beta {filter_beta}.")
        if filter_postfilter is not None and filter_postfilter != "ban":
            raise ValueError(f"Postfilter {filter_postfilter} is not supported.")
        if isinstance(ref_channel, str) and ref_channel != "max_snr":
            raise ValueError(f"expected ref_channel to be a channel, max_snr or null, but got {ref_channel}")
        check_limits(mask_min_db, mask_max_db)
        if postmask_min_db > postmask_max_db:
            check_limits(postmask_min_db, postmask_max_db)
        self.beta = float(filter_beta)
        self.full_rank = filter_rank == "full"
        self.normalises = filter_postfilter == "ban"
        self.finds_reference = ref_channel == "max_snr"
        self.every_channel = ref_channel is None
        self.ref_channel = ref_channel if isinstance(ref_channel, int) else 0
        self.low, self.high = amplitude(mask_min_db), amplitude(mask_max_db)
        self.has_postmask = postmask_min_db < postmask_max_db
        self.post_low, self.post_high = amplitude(postmask_min_db), amplitude(postmask_max_db)
        self.diag_reg = diag_reg
        self.eps = eps

    def forward(self, spectrogram: Tensor, frames: Tensor, masks: Tensor) -> Tensor:
        """Filter.

        Args:
            spectrogram: complex, ``(B, C, F, N)``.
            frames: valid frames per item, ``(B,)``; only these are listened to.
            masks: ``(B, M, F, N)``; of a single one the noise is what is left of 1, of several all others.

        Returns:
            Complex, ``(B, M, F, N)``; ``(B, M · C, F, N)`` with an output per channel.
        """
        x = spectrogram.to(torch.complex128)
        valid = frame_mask(frames, x.shape[-1])[:, None, None, :].double()
        limited = masks.double().clamp(self.low, self.high) * valid
        others = valid - limited if masks.shape[1] == 1 else limited.sum(dim=1, keepdim=True) - limited
        wanted, unwanted = covariance(x, limited, self.eps), covariance(x, others, self.eps)
        filters = self._choose(self._filters(wanted, unwanted), wanted, unwanted)
        if self.normalises:
            filters = filters * self._normalisation(filters, unwanted)
        # (B, M, F, R, C) · (B, 1, F, C, N)
        made = torch.matmul(filters.transpose(-1, -2).conj(), x.permute(0, 2, 1, 3).unsqueeze(1))
        made = made.permute(0, 1, 3, 2, 4)  # (B, M, R, F, N)
        if self.has_postmask:
            made = made * masks.double().clamp(self.post_low, self.post_high).unsqueeze(2)
        return made.flatten(1, 2).to(spectrogram.dtype)

    def _filters(self, wanted: Tensor, unwanted: Tensor) -> Tensor:
        """A filter per reference channel, in columns: ``(B, M, F, C, C)``."""
        if self.full_rank:
            both = _loaded(wanted + self.beta * unwanted, self.diag_reg, self.eps)
            full: Tensor = torch.linalg.solve(both, wanted)
            return full
        found: Tensor = torch.linalg.solve(_loaded(unwanted, self.diag_reg, self.eps), wanted)
        trace = torch.diagonal(found, dim1=-2, dim2=-1).sum(dim=-1).real
        return found / (self.beta + trace + self.eps)[..., None, None]

    def _choose(self, filters: Tensor, wanted: Tensor, unwanted: Tensor) -> Tensor:
        """The columns of the reference channel: ``(B, M, F, C, R)``."""
        if self.every_channel:
            return filters
        if not self.finds_reference:
            return filters[..., self.ref_channel : self.ref_channel + 1]
        ratio = _quadratic(filters, wanted).sum(dim=2) / (_quadratic(filters, unwanted).sum(dim=2) + self.eps)
        best = ratio.argmax(dim=-1)[:, :, None, None, None]
        return torch.gather(filters, -1, best.expand(-1, -1, filters.shape[2], filters.shape[3], 1))

    def _normalisation(self, filters: Tensor, unwanted: Tensor) -> Tensor:
        """√(wᴴ Φn Φn w / C) / wᴴ Φn w: ``(B, M, F, 1, R)``."""
        loaded = _loaded(unwanted, self.diag_reg, self.eps)
        heard = torch.matmul(loaded, filters)
        above = (heard.abs().square().sum(dim=-2) / filters.shape[-2]).sqrt()
        return (above / ((filters.conj() * heard).sum(dim=-2).real + self.eps)).unsqueeze(-2)


def _reference(value: Any) -> Any:
    if value is None or value == "max_snr":
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise PydanticCustomError(
            "expected",
            "expected a channel from 0 on, max_snr or null, but got {got}",
            {"got": describe(value)},
        )
    return value


class MaskBasedBeamformerConfig(Config):
    """Config of :class:`MaskBasedBeamformer`."""

    filter_type: Literal["mvdr_souden", "pmwf"] = Field(
        "mvdr_souden",
        description="pmwf, the parametric multichannel Wiener filter, or mvdr_souden: the same of rank one "
        "with filter_beta 0",
    )
    filter_beta: NonNegativeFloat = Field(
        0.0, description="of pmwf: how much noise reduction is worth against distortion"
    )
    filter_rank: Literal["one", "full"] = Field(
        "one", description="of pmwf: rank that the wanted signal's covariance is taken to have"
    )
    filter_postfilter: Literal["ban"] | None = Field(
        None, description="ban for blind analytic normalisation, or null"
    )
    ref_channel: Annotated[int | Literal["max_snr"] | None, BeforeValidator(_reference)] = Field(
        0,
        description="a channel; max_snr for the one with the highest estimated ratio; null for an output per "
        "channel",
    )
    mask_min_db: Float = Field(-200.0, description="least mask (dB)")
    mask_max_db: Float = Field(0.0, description="largest mask (dB)")
    postmask_min_db: Float = Field(
        0.0, description="least mask that the output is multiplied by (dB); equal limits: it is not"
    )
    postmask_max_db: Float = Field(0.0, description="largest mask that the output is multiplied by (dB)")
    diag_reg: NonNegativeFloat = Field(
        1e-6, description="loading of the covariances, relative to their trace"
    )
    eps: PositiveFloat = Field(1e-8, description="least loading of the covariances")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        refuse_limits(self.mask_min_db, self.mask_max_db, "mask_min_db")
        if self.postmask_min_db > self.postmask_max_db:
            refuse_limits(self.postmask_min_db, self.postmask_max_db, "postmask_min_db")
        if self.filter_type == "pmwf" and self.filter_rank == "full" and self.filter_beta == 0:
            raise refusal(
                f"Rank full is not compatible with beta {self.filter_beta}.",
                ("filter_beta",),
                self.filter_beta,
            )
        if self.filter_type == "mvdr_souden" and (self.filter_beta or self.filter_rank == "full"):
            key = "filter_beta" if self.filter_beta else "filter_rank"
            value = self.filter_beta if self.filter_beta else self.filter_rank
            raise refusal(
                f"expected filter_type pmwf with it, for mvdr_souden is of rank one with filter_beta 0, "
                f"but got {value}",
                (key,),
                value,
            )
        return self

    def build(self) -> MaskBasedBeamformer:
        """Make the beamformer."""
        return MaskBasedBeamformer(**self.model_dump())
