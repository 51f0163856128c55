"""An exporter: the impulse response of a `Linear` net, as the WAV that cabinet loaders take.

    "export": [{"name": "impulse_response", "config": {"subtype": "PCM_24"}}]

An exporter says beforehand why it could not serve a net, writes the file, and proves it by reading it back.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from nam_like.audio.io import read_audio, write_audio
from nam_like.errors import ExportError
from nam_like.export.base import Verification, compare
from nam_like.models.base import Net
from nam_like.registry import EXPORTERS


@EXPORTERS.register("impulse_response", summary="the impulse response of a Linear net, as WAV")
class ImpulseResponse:
    """Writes ``<name>.wav``: what the net answers to a single sample.

    Args:
        subtype: FLOAT, PCM_24 or PCM_16; integers clip beyond full scale.
    """

    name = "impulse_response"
    suffix = ".wav"
    tolerance = 1e-4

    def __init__(self, subtype: str = "FLOAT") -> None:
        self.subtype = subtype

    def obstacles(self, net: Net) -> list[str]:
        """Only a linear net is its impulse response."""
        if net.architecture == "Linear":
            return []
        return [f"expected a Linear net for an impulse response, but got {type(net).__name__}"]

    def write(self, net: Net, path: Path, metadata: dict[str, Any]) -> None:
        """Play one sample through the net and write the answer; a bias is not part of it."""
        rate = round(net.sample_rate or 48_000)
        write_audio(path, self._response(net), rate, subtype=self.subtype)

    def verify(self, net: Net, path: Path, audio: np.ndarray) -> Verification:
        """Convolve `audio` ``(L,)`` with the file and compare with the net.

        Raises:
            ExportError: they disagree.
        """
        response = read_audio(path).samples
        convolved = np.convolve(audio.astype(np.float64), response)[: len(audio)]
        with torch.no_grad():
            silence = torch.zeros(1, len(audio))
            wanted = (net(torch.from_numpy(audio)[None], pad_start=True) - net(silence, pad_start=True))[
                0
            ].numpy()
        result = compare(convolved.astype(np.float32), wanted)
        if not result.max_abs <= self.tolerance * max(1.0, result.peak):
            raise ExportError(
                f"{path}: expected it to play as the net, but it differs by {result.max_abs:.3g}"
            )
        return result

    @staticmethod
    def _response(net: Net) -> np.ndarray:
        """The impulse response ``(receptive_field,)``."""
        impulse = torch.zeros(1, net.receptive_field)
        impulse[0, 0] = 1.0
        with torch.no_grad():
            answer = net(impulse, pad_start=True) - net(torch.zeros_like(impulse), pad_start=True)
        return answer[0].numpy()
