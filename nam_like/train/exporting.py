"""Hand the trained net on: each export is written, read back, compared, and deleted if it does not agree."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nam_like.data.build import Datasets
from nam_like.errors import ExportError
from nam_like.export.base import Exporter, Verification
from nam_like.export.metadata import build_metadata, measure_levels
from nam_like.models.audio_net import AudioNet
from nam_like.models.base import Net
from nam_like.train.evaluate import Excerpt, condition_sizes, excerpt, loudest

__all__ = [
    "Export",
    "Playback",
    "Ready",
    "export_all",
    "model_metadata",
    "playback_esr",
    "ready_net",
    "undo_gain",
]

#: How much audio proves that a file plays as its net (s).
PROOF_SECONDS = 1.0


@dataclass(frozen=True)
class Export:
    """One exported file.

    Attributes:
        name: of the exporter.
        path: the file.
        verification: how far it is from the net.
    """

    name: str
    path: Path
    verification: Verification


@dataclass(frozen=True)
class Playback:
    """How a `.nam` file plays an excerpt of a recording.

    Attributes:
        esr: as plugins play it by default, with their approximate tanh.
        exact: with exact tanh, as the net was trained.
        seconds: how long the excerpt is.
    """

    esr: float
    exact: float
    seconds: float


@dataclass(frozen=True)
class Ready:
    """A net that is ready to export.

    Attributes:
        net: in ``eval()``, on the CPU.
        metadata: of the model.
        piece: audio to judge the file by.
        proof: audio to compare net and file on, ``(L,)`` or ``(C, T)``.
        is_one_sound: it has no knobs, so that a file plays what the recording sounds like.
    """

    net: AudioNet
    metadata: dict[str, Any]
    piece: Excerpt
    proof: NDArray[np.float32]
    is_one_sound: bool = False


def ready_net(net: Net, datasets: Datasets, user: Mapping[str, Any], training: Mapping[str, Any]) -> Ready:
    """Make a trained net of sample-aligned audio ready to export.

    Args:
        net: on the CPU.
        datasets: what it was trained and validated on.
        user: metadata that the data JSON gives.
        training: the record of the training.
    """
    if net.num_conditions != 0:
        net.condition_sizes = condition_sizes(datasets.validation)
    ready = undo_gain(net, datasets.output_gain)
    metadata = model_metadata(ready, user, training)
    piece = excerpt(ready, datasets.validation)
    # Once the net's past, which begins as silence, and a second in which it knows its past.
    samples = int(ready.receptive_field) + round(PROOF_SECONDS * float(ready.sample_rate or 48_000.0))
    proof = piece.x[loudest(torch.from_numpy(piece.x), samples)]
    return Ready(ready, metadata, piece, proof, ready.num_conditions == 0)


class _Scaled(Net):
    """A net whose output is multiplied, for nets that cannot take the factor into their weights."""

    def __init__(self, net: Net, factor: float) -> None:
        super().__init__(net.sample_rate)
        self.net = net
        self.factor = factor
        self.receptive_field = int(net.receptive_field)
        self.num_conditions = net.num_conditions
        self.num_knobs = net.num_knobs
        self.condition_sizes = net.condition_sizes
        self.exports = net.exports - {"nam"}

    def _forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
        output: Tensor = self.net(x, *conditions, pad_start=False)
        return self.factor * output

    def export_conditions(self) -> tuple[Tensor, ...]:
        return self.net.export_conditions()


def undo_gain(net: Net, gain: float) -> Net:
    """A copy of the net on the CPU, ready to export, that plays at the level of the recordings.

    Args:
        net: trained on targets that were multiplied by `gain`.
        gain: the factor.
    """
    ready = copy.deepcopy(net).cpu().eval()
    if gain == 1.0:
        return ready
    try:
        ready.scale_output(1.0 / gain)
    except NotImplementedError:
        ready = _Scaled(ready, 1.0 / gain).eval()
    return ready


def model_metadata(net: Net, user: Mapping[str, Any], training: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of an export; loudness and gain are left out where the net takes unknown conditions."""
    conditions = net.export_conditions()
    levels: dict[str, float] = {}
    if len(conditions) == net.num_conditions:

        def play(x: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.no_grad():
                output: Tensor = net(torch.from_numpy(x)[None], *conditions, pad_start=True)
            return output[0].numpy()

        levels = measure_levels(play, float(net.sample_rate or 48_000.0))
    return build_metadata(user, levels, training)


def export_all(
    net: AudioNet,
    exporters: list[Exporter],
    folder: Path,
    metadata: dict[str, Any],
    audio: NDArray[np.float32],
    *,
    stem: str = "model",
) -> list[Export]:
    """Write and verify every export.

    Args:
        net: in ``eval()``, on the CPU.
        exporters: what writes.
        folder: where to.
        metadata: of the model.
        audio: what an export is compared on, ``(L,)`` or ``(C, T)``.
        stem: name of the files.

    Raises:
        ExportError: one could not be written or does not play as the net; its file is gone, the others stay.
    """
    done: list[Export] = []
    failures: list[str] = []
    for exporter in exporters:
        path = folder / f"{stem}{exporter.suffix}"
        try:
            exporter.write(net, path, metadata)
            verification = exporter.verify(net, path, audio)
        except ExportError as error:
            path.unlink(missing_ok=True)
            failures.append(str(error))
            continue
        done.append(Export(exporter.name, path, verification))
    if failures:
        raise ExportError("; ".join(failures))
    return done


def playback_esr(path: Path, piece: Excerpt, receptive_field: int) -> Playback | None:
    """ESR of a `.nam` file with exact and with approximate tanh, both on `piece`; None without signal.

    Args:
        path: the file.
        piece: validation audio.
        receptive_field: the first samples, which depend on what came before, are left out.
    """
    from nam_like.export.player import load

    past = receptive_field - 1
    target = piece.y.astype(np.float64)[past:]
    energy = float(np.sum(target**2))
    if not energy > 0.0:
        return None
    # The player, not the independent reader, which needs half a second for one of audio: that both agree was
    # proven on a shorter piece, when the file was verified.
    players = [load(path, fast_tanh=fast) for fast in (True, False)]
    fast, exact = (
        float(np.sum((player.process(piece.x).astype(np.float64)[past:] - target) ** 2)) / energy
        for player in players
    )
    return Playback(fast, exact, len(target) / float(players[0].sample_rate or 48_000.0))
