"""Play whole files through a net in bounded memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["has_finite_memory", "play"]


def has_finite_memory(net: nn.Module) -> bool:
    """Whether an output depends on the samples of the receptive field only, so that a file can be cut.

    A recurrent net states a receptive field of 1 or of its convolutions, but remembers everything; a net
    whose receptive field is 1 without recurrent layers is memoryless, and needs no cutting.
    """
    recurrent = getattr(net, "recurrent", None)
    if isinstance(recurrent, bool):
        return not recurrent
    if any(isinstance(module, nn.RNNBase | nn.RNNCellBase) for module in net.modules()):
        return False
    return int(getattr(net, "receptive_field", 1)) > 1


def play(net: Any, x: Tensor, *conditions: Tensor, outputs: int = 65_536) -> Tensor:
    """Play ``net(x, *conditions, pad_start=False)`` in pieces where the net allows it.

    A net that forgets is played in pieces that overlap by its receptive field. One that remembers everything
    may have a method ``resume(state, x, *conditions) -> (y, state)`` instead, as an LSTM has.

    Args:
        net: the net.
        x: ``(B, L)``.
        conditions: ``(B, K)``, or ``(B, K, L)`` aligned with `x`.
        outputs: samples per piece.

    Returns:
        ``(B, L − receptive_field + 1)``, up to rounding the same as in one piece.
    """
    past = int(net.receptive_field) - 1
    total = x.shape[-1] - past
    resume = None if getattr(net, "training", False) else getattr(net, "resume", None)
    if total <= outputs or (resume is None and not has_finite_memory(net)):
        whole: Tensor = net(x, *conditions, pad_start=False)
        return whole
    pieces, state = [], None
    for start in range(0, total, outputs):
        part = slice(start, min(start + outputs, total) + past)
        cut = (c[..., part] if c.ndim == 3 else c for c in conditions)
        if resume is None:
            pieces.append(net(x[:, part], *cut, pad_start=False))
        else:
            y, state = resume(state, x[:, part], *cut)
            pieces.append(y)
    return torch.cat(pieces, dim=-1)
