"""LSTM: a recurrent net with a learned initial state."""

from nam_like.models.amp.lstm.config import LSTMConfig
from nam_like.models.amp.lstm.model import LSTM

__all__ = ["LSTM", "LSTMConfig"]
