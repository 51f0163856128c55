"""Captures for benchmarks: a device's recordings as data.json, and the course of a training's ESR."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from nam_like.config.run import load_run
from nam_like.train.callbacks.stop import SignalFlag
from nam_like.train.fit import fit
from nam_like.train.prepare import prepare
from nam_like.train.quiet import quiet_lightning

Json = dict[str, Any]

QUIET = (
    "learning.trainer.logger=false",
    "learning.trainer.enable_progress_bar=false",
    "learning.trainer.accelerator=cpu",
)


@dataclass(frozen=True)
class Device:
    """A pair of recordings; what comes before `stop` is trained on, the rest validated.

    Attributes:
        name: what tables call it.
        dry: input recording.
        wet: output recording.
        stop: first sample of the validation part.
    """

    name: str
    dry: Path
    wet: Path
    stop: int

    @classmethod
    def parse(cls, text: str) -> Device:
        """Read ``name=dry.wav,wet.wav,stop``."""
        name, _, rest = text.partition("=")
        dry, wet, stop = rest.split(",")
        return cls(name, Path(dry).resolve(), Path(wet).resolve(), int(stop))

    def data(self, ny: int = 8192, start: int | None = None) -> Json:
        """Its data.json, which both trainers read.

        Args:
            ny: output samples per training item.
            start: first sample of the training part.
        """
        paths = {"x_path": str(self.dry), "y_path": str(self.wet), "delay": 0}
        return {
            "common": {**paths, "require_input_pre_silence": None},
            "train": {"start_samples": start, "stop_samples": self.stop, "ny": ny},
            "validation": {"start_samples": self.stop, "ny": None},
        }


def simulated(text: str, folder: Path) -> Device:
    """Read ``name=dry.wav,device:knob=value:…,stop`` and play the recording through that circuit.

    Args:
        text: ``device`` and its knobs are those of ``nam_like simulate``.
        folder: gets ``<name>_<device>_<knobs>.wav``, unless it is there already.

    Raises:
        UserError: there is no such device or knob.
    """
    from nam_like.audio.circuits.device import simulate
    from nam_like.audio.io import read_audio, write_audio

    name, _, rest = text.partition("=")
    dry, circuit, stop = rest.split(",")
    kind, *knobs = circuit.split(":")
    wet = folder / f"{name}_{'_'.join([kind, *knobs])}.wav"
    if not wet.exists():
        positions = {knob: float(value) for knob, value in (pair.split("=") for pair in knobs)}
        played = read_audio(Path(dry))
        write_audio(wet, simulate(played.samples, played.sample_rate, kind, **positions), played.sample_rate)
    return Device(name, Path(dry).resolve(), wet.resolve(), int(stop))


class Course(Callback):
    """Notes the ESR of every validation, and what it took to get there; validations themselves are not timed.

    Attributes:
        points: ``epoch, step, samples`` (target samples trained on), ``cpu, wall`` (s), ``esr``.
    """

    def __init__(self) -> None:
        self.points: list[dict[str, float]] = []
        self._samples = 0
        self._cpu = self._wall = 0.0
        self._mark = (0.0, 0.0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clocks."""
        self._mark = time.process_time(), time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count samples."""
        self._samples += batch[-1].numel()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clocks."""
        if not trainer.sanity_checking:
            self._cpu += time.process_time() - self._mark[0]
            self._wall += time.perf_counter() - self._mark[1]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the figures, start the clocks again."""
        if trainer.sanity_checking:
            return
        point = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "samples": self._samples,
            "cpu": round(self._cpu, 2),
            "wall": round(self._wall, 2),
            "esr": float(pl_module.validated["ESR"]),  # type: ignore[union-attr, operator, index]
        }
        self.points.append(point)
        self._mark = time.process_time(), time.perf_counter()


def train_capture(
    data: Json, model: Json | Path, learning: Json | Path, overrides: Sequence[str]
) -> list[dict[str, float]]:
    """Train as ``nam_full`` does, without the export.

    Args:
        data: data.json.
        model: model.json or where it is.
        learning: learning.json or where it is.
        overrides: as of ``nam_full --set``.

    Returns:
        :attr:`Course.points`.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    course = Course()
    with tempfile.TemporaryDirectory() as name, quiet_lightning():
        folder = Path(name)
        paths = []
        for kind, value in {"data": data, "model": model, "learning": learning}.items():
            paths.append(value if isinstance(value, Path) else folder / f"{kind}.json")
            if not isinstance(value, Path):
                paths[-1].write_text(json.dumps(value))
        job = prepare(load_run(*paths, [*QUIET, *overrides]), folder)
        if fit(job, folder, SignalFlag(), course).interrupted:
            raise KeyboardInterrupt
    return course.points
