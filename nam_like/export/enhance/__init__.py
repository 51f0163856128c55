"""Playing enhancement nets from their TorchScript files: over files of any length, and on streams."""

from nam_like.export.enhance.files import Enhanced, EnhanceOptions, enhance_file
from nam_like.export.enhance.model import EnhancementModel, load_model
from nam_like.export.enhance.overlap import overlapped
from nam_like.export.enhance.stream import StreamingEnhancer

__all__ = [
    "EnhanceOptions",
    "Enhanced",
    "EnhancementModel",
    "StreamingEnhancer",
    "enhance_file",
    "load_model",
    "overlapped",
]
