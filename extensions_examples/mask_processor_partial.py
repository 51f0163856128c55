"""A mask processor: noise is lowered by so many dB at most, which sounds more natural than silence.

    "mask_processor": {"name": "PartialMask", "config": {"attenuation_db": 18}}

A mask processor is called with the spectrogram (B, C, F, N), the valid frames (B,) and the masks
(B, M, F, N), and returns spectrograms (B, M, F, N).
"""

from torch import Tensor, nn

from nam_like.registry import MASK_PROCESSORS


@MASK_PROCESSORS.register("PartialMask", summary="masks that lower by so many dB at most")
class PartialMask(nn.Module):
    """``(m + (1 − m) · a) · X``, with a = −`attenuation_db` as an amplitude.

    Args:
        attenuation_db: what a mask of zero takes away (dB), from 0 up.
        ref_channel: the channel that the masks are applied to.
    """

    def __init__(self, attenuation_db: float = 18.0, ref_channel: int = 0) -> None:
        super().__init__()
        if attenuation_db < 0 or ref_channel < 0:
            raise ValueError(
                f"expected `attenuation_db` and `ref_channel` from 0 up, but got {attenuation_db} and "
                f"{ref_channel}"
            )
        self.floor = float(10.0 ** (-attenuation_db / 20.0))
        self.ref_channel = ref_channel

    def forward(self, spectrogram: Tensor, frames: Tensor, masks: Tensor) -> Tensor:
        """See this module."""
        reference = spectrogram[:, self.ref_channel : self.ref_channel + 1]
        return (masks + (1.0 - masks) * self.floor) * reference
