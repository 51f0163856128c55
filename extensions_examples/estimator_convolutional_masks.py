"""An estimator: masks from dilated convolutions over time.

    "mask_estimator": {"name": "ConvolutionalMasks", "config": {"num_subbands": 257, "layers": 6}}

An estimator of a MaskEnhancer is called with the spectrogram (B, C, F, N) and the valid frames (B,), and
returns masks (B, M, F, N) from 0 to 1. What lies behind the valid frames must not count, or an answer would
depend on how a batch was padded.
"""

import torch
from torch import Tensor, nn

from nam_like.models.enhancement.lengths import mask_frames
from nam_like.registry import ESTIMATORS


@ESTIMATORS.register("ConvolutionalMasks", summary="masks from dilated convolutions over time")
class ConvolutionalMasks(nn.Module):
    """``sigmoid(dense(x + Σ block(x)))`` of the mean magnitude of all channels.

    Args:
        num_subbands: frequencies F.
        num_outputs: masks M.
        width: of the layers.
        layers: convolutions of three frames, with dilations 1, 2, 4 …
    """

    def __init__(self, num_subbands: int, num_outputs: int = 1, width: int = 64, layers: int = 6) -> None:
        super().__init__()
        if min(num_subbands, num_outputs, width, layers) < 1:
            raise ValueError("expected sizes from 1")
        self.num_outputs = num_outputs
        self.narrow = nn.Conv1d(num_subbands, width, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, 3, dilation=2**layer, padding=2**layer) for layer in range(layers)
        )
        self.widen = nn.Conv1d(width, num_outputs * num_subbands, 1)

    def forward(self, spectrogram: Tensor, frames: Tensor) -> Tensor:
        """``(B, C, F, N)`` and valid frames ``(B,)`` → ``(B, M, F, N)``."""
        x = self.narrow(torch.log1p(spectrogram.abs().mean(dim=1)))
        for layer in self.layers:
            x = x + torch.relu(layer(mask_frames(x, frames)))
        batch, _, count = x.shape
        masks = torch.sigmoid(self.widen(x)).reshape(batch, self.num_outputs, -1, count)
        return mask_frames(masks, frames)
