"""An independent reader of `.nam` files: NumPy in float64, written from the format alone.

It plays as the realtime engine (NeuralAmpModelerCore) does, also where trainers disagree with it, and
refuses what the engine refuses. It shares no code with the networks that are trained, so that comparing
both proves an export. The format is described in docs/nam-format.md.
"""

from nam_like.errors import NamFileError
from nam_like.export.nam_read.envelope import Envelope, read_envelope
from nam_like.export.nam_read.load import load_nam
from nam_like.export.nam_read.player import NamModel, Player
from nam_like.export.nam_read.summary import Summary, summary

__all__ = [
    "Envelope",
    "NamFileError",
    "NamModel",
    "Player",
    "Summary",
    "load_nam",
    "read_envelope",
    "summary",
]
