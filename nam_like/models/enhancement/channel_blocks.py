"""Parts of nets that hear any number of microphones in any order: mixing channels, and reducing them to one.

Source: Y. Luo et al., "End-to-End Microphone Permutation and Number Invariant Multi-Channel Speech
Separation", 2020 (transform, average, concatenate); A. Jukić et al., "Flexible Multichannel Speech
Enhancement for Noise-Robust Frontend", 2023 (attention across channels).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "ChannelAttentionPool",
    "ChannelAveragePool",
    "TransformAttendConcatenate",
    "TransformAverageConcatenate",
]


class _Attention(nn.Module):
    """Self-attention across channels, frame by frame, without places. ``(B, N, C, width)``, the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, frames, channels, width = x.shape
        made = F.scaled_dot_product_attention(
            self._split(self.query(x)), self._split(self.key(x)), self._split(self.value(x))
        )
        mixed: Tensor = self.output(made.transpose(1, 2).reshape(batch, frames, channels, width))
        return mixed

    def _split(self, x: Tensor) -> Tensor:
        """``(B, N, C, width)`` → ``(B · N, heads, C, width / heads)``."""
        return x.reshape(x.shape[0] * x.shape[1], x.shape[2], self.heads, -1).transpose(1, 2)


def _half(in_features: int, out_features: int) -> nn.Sequential:
    if out_features % 2:
        raise ValueError(f"expected an even number of features, but got {out_features}")
    return nn.Sequential(nn.Linear(in_features, out_features // 2, bias=False), nn.ReLU())


class TransformAverageConcatenate(nn.Module):
    """Half of the features are the channel's own, half are the mean over all channels.

    Args:
        in_features: per channel.
        out_features: per channel, even.

    Raises:
        ValueError: `out_features` is odd.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.own = _half(in_features, out_features)
        self.shared = _half(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, C, in_features)`` → ``(B, N, C, out_features)``."""
        own = self.own(x)
        shared = self.shared(x).mean(dim=2, keepdim=True)
        return torch.cat((own, shared.expand_as(own)), dim=-1)


class TransformAttendConcatenate(nn.Module):
    """Half of the features are the channel's own, half come from all channels by attention.

    Args:
        in_features: per channel.
        out_features: per channel, even; half of it a multiple of `heads`.
        heads: of the attention.

    Raises:
        ValueError: `out_features` is odd, or its half no multiple of `heads`.
    """

    def __init__(self, in_features: int, out_features: int, heads: int = 4) -> None:
        super().__init__()
        self.own = _half(in_features, out_features)
        self.shared = _half(in_features, out_features)
        if out_features // 2 % heads:
            raise ValueError(f"expected a multiple of {2 * heads} features, but got {out_features}")
        self.attention = _Attention(out_features // 2, heads)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, C, in_features)`` → ``(B, N, C, out_features)``."""
        return torch.cat((self.own(x), self.attention(self.shared(x))), dim=-1)


class ChannelAveragePool(nn.Module):
    """The mean over channels."""

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, C, features)`` → ``(B, N, features)``."""
        return x.mean(dim=2)


class ChannelAttentionPool(nn.Module):
    """The mean over channels of what attention makes of them.

    Args:
        features: per channel.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.attention = _Attention(features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, N, C, features)`` → ``(B, N, features)``."""
        made: Tensor = self.attention(x).mean(dim=2)
        return made
