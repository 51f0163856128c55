"""Conformers: self-attention for what is far apart, convolutions for what is near.

    x ← x + ½ FF(x);  x ← x + Attention(x);  x ← x + Conv(x);  x ← Norm(x + ½ FF(x))

All parts normalise what they are given first. Attention knows how far apart two frames are, not where they
stand, so a net can be played on longer signals than it was trained on. What lies behind an item's valid
frames is never heard, and the convolution normalises each frame by itself instead of over the batch, so that
an item does not depend on what it is batched with.

Source: A. Gulati et al., "Conformer: Convolution-augmented Transformer for Speech Recognition", 2020;
relative positions: Z. Dai et al., "Transformer-XL: Attentive Language Models beyond a Fixed-Length Context",
2019.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nam_like.models.enhancement.lengths import frame_mask

__all__ = ["Conformer", "ConformerLayer", "RelativeAttention", "relative_positions"]


def relative_positions(count: int, width: int, like: Tensor) -> Tensor:
    """Sinusoids of the distances ``count − 1, …, 0, …, 1 − count``, ``(2 · count − 1, width)``.

    Args:
        count: frames.
        width: even.
        like: gives the device and the type.
    """
    distance = torch.arange(count - 1, -count, -1, device=like.device, dtype=like.dtype)
    rates = torch.exp(
        torch.arange(0, width, 2, device=like.device, dtype=like.dtype) * (-math.log(10000.0) / width)
    )
    angles = distance[:, None] * rates[None, :]
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


class RelativeAttention(nn.Module):
    """Self-attention over frames with learned weights of their distances.

        score(i, j) = ((q_i + u)·k_j + (q_i + v)·p_{i−j}) / √(width per head)

    Args:
        width: of the features.
        heads: divides `width`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.position = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width)
        self.key_bias = nn.Parameter(torch.zeros(heads, 1, width // heads))
        self.position_bias = nn.Parameter(torch.zeros(heads, 1, width // heads))

    def forward(self, x: Tensor, unheard: Tensor) -> Tensor:
        """Attend.

        Args:
            x: ``(B, N, width)``.
            unheard: added to the scores, ``(B, 1, N, N)``: 0, or very negative.

        Returns:
            ``(B, N, width)``.
        """
        batch, count, width = x.shape
        query, key, value = (
            self._split(self.query(x)),
            self._split(self.key(x)),
            self._split(self.value(x)),
        )
        places = self._split(self.position(relative_positions(count, width, x))[None])
        far = torch.matmul(query + self.position_bias, places.transpose(-1, -2))  # (B, H, N, 2N − 1)
        scale = 1.0 / math.sqrt(width // self.heads)
        bias = _by_key(far) * scale + unheard
        made = F.scaled_dot_product_attention(query + self.key_bias, key, value, attn_mask=bias)
        found: Tensor = self.output(made.transpose(1, 2).reshape(batch, count, width))
        return found

    def _split(self, x: Tensor) -> Tensor:
        """``(B, N, width)`` → ``(B, heads, N, width / heads)``."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


def _by_key(far: Tensor) -> Tensor:
    """From scores by distance, the largest first, to scores by key: ``(B, H, N, 2N − 1)`` → ``(B, H, N, N)``.

    Row i wants the distances i, i − 1, …, i − N + 1, which begin at column N − 1 − i: written with one more
    column, and read again with the rows' old length, each row has moved by one against the one before.
    """
    batch, heads, count, distances = far.shape
    moved = F.pad(far, (1, 0)).reshape(batch, heads, distances + 1, count)[:, :, 1:]
    return moved.reshape(batch, heads, count, distances)[..., :count]


class _FeedForward(nn.Module):
    """Two dense layers with a SiLU between them, the inner one four times as wide."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return made


class _Convolution(nn.Module):
    """A gate, a convolution over time of each feature by itself, and a dense layer."""

    def __init__(self, width: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gated = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.inner_norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        gated = F.glu(self.gated(self.norm(x)), dim=-1) * valid
        near = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        made: Tensor = self.dropout(self.output(F.silu(self.inner_norm(near))))
        return made


class ConformerLayer(nn.Module):
    """One layer: half a feed-forward step, attention, convolution, half a feed-forward step, norm.

    Args:
        width: of the features.
        heads: of the attention.
        kernel_size: of the convolution (frames), odd.
        dropout: in training.
    """

    def __init__(self, width: int, heads: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.before = _FeedForward(width, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = RelativeAttention(width, heads)
        self.attention_dropout = nn.Dropout(dropout)
        self.convolution = _Convolution(width, kernel_size, dropout)
        self.after = _FeedForward(width, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, valid: Tensor, unheard: Tensor) -> Tensor:
        """``(B, N, width)``, valid frames ``(B, N, 1)``, scores ``(B, 1, N, N)`` → ``(B, N, width)``."""
        x = x + 0.5 * self.before(x)
        x = x + self.attention_dropout(self.attention(self.attention_norm(x), unheard))
        x = x + self.convolution(x, valid)
        made: Tensor = self.norm(x + 0.5 * self.after(x))
        return made


class Conformer(nn.Module):
    """A stack of layers with a dense layer before it, and one behind it where the widths differ.

    Args:
        in_features: of the input.
        width: of the layers, even, a multiple of `heads`.
        num_layers: layers.
        heads: of the attention.
        out_features: of the output; None for `width`, without a dense layer.
        kernel_size: of the convolutions (frames), odd.
        dropout: in training.
        context: frames that each frame hears before and after it by attention; −1 for all.

    Raises:
        ValueError: the width is odd or no multiple of the heads, or the kernel is even.
    """

    def __init__(
        self,
        *,
        in_features: int,
        width: int,
        num_layers: int,
        heads: int,
        out_features: int | None = None,
        kernel_size: int = 31,
        dropout: float = 0.1,
        context: tuple[int, int] = (-1, -1),
    ) -> None:
        super().__init__()
        if width % 2 or width % heads:
            raise ValueError(f"expected an even multiple of {heads} heads as width, but got {width}")
        if kernel_size % 2 == 0:
            raise ValueError(f"expected an odd kernel_size, but got {kernel_size}")
        self.left, self.right = context
        self.input = nn.Linear(in_features, width)
        self.layers = nn.ModuleList(
            ConformerLayer(width, heads, kernel_size, dropout) for _ in range(num_layers)
        )
        self.output = nn.Identity() if out_features is None else nn.Linear(width, out_features)

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """Transform a batch.

        Args:
            x: ``(B, N, in_features)``.
            frames: valid frames per item, ``(B,)``.

        Returns:
            ``(B, N, out_features)``; what is behind the valid frames means nothing.
        """
        count = x.shape[1]
        valid = frame_mask(frames, count)
        heard = valid[:, None, None, :]
        if self.left >= 0 or self.right >= 0:
            place = torch.arange(count, device=x.device)
            ahead = place[None, :] - place[:, None]  # of the key, seen from the query
            near = torch.ones_like(ahead, dtype=torch.bool)
            if self.left >= 0:
                near = near & (ahead >= -self.left)
            if self.right >= 0:
                near = near & (ahead <= self.right)
            heard = heard & near[None, None]
        unheard = torch.zeros(heard.shape, dtype=x.dtype, device=x.device).masked_fill(~heard, -1e9)
        keep = valid[:, :, None].to(x.dtype)
        x = self.input(x) * keep
        for layer in self.layers:
            x = layer(x, keep, unheard)
        made: Tensor = self.output(x)
        return made
