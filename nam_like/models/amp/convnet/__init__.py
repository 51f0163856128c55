"""ConvNet: a stack of dilated convolutions of two taps, with batch norm (if asked for) and activation."""

from nam_like.models.amp.convnet.config import ConvNetConfig
from nam_like.models.amp.convnet.model import ConvNet, as_wavenet

__all__ = ["ConvNet", "ConvNetConfig", "as_wavenet"]
