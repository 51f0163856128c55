"""NCSN++, a U-Net over spectrograms with an image pyramid at its input and one at its output."""

from nam_like.models.enhancement.ncsnpp.model import NCSNpp, NCSNppConfig

__all__ = ["NCSNpp", "NCSNppConfig"]
