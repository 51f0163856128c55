"""WaveNet, the realtime engine's main net."""

from nam_like.models.amp.wavenet.array import LayerArray
from nam_like.models.amp.wavenet.config import WaveNetConfig
from nam_like.models.amp.wavenet.head import PostHead
from nam_like.models.amp.wavenet.layer import FILM_POSITIONS, FilmShape, Head1x1, Layer
from nam_like.models.amp.wavenet.model import WaveNet

__all__ = [
    "FILM_POSITIONS",
    "FilmShape",
    "Head1x1",
    "Layer",
    "LayerArray",
    "PostHead",
    "WaveNet",
    "WaveNetConfig",
]
