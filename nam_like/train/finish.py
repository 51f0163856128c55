"""What follows the fit: the best weights are loaded, exported and proven, then drawn and reported."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nam_like.export.metadata import finite
from nam_like.train.checkpoints import RECORD, load_net_weights
from nam_like.train.exporting import Export, Playback, export_all, playback_esr
from nam_like.train.fit import Fitted
from nam_like.train.prepare import Job
from nam_like.train.run_folder import RunFolder, versions

__all__ = ["HandedOn", "epoch_of", "hand_on", "playback_text", "show_results", "training_record"]

log = logging.getLogger(__name__)


@dataclass
class HandedOn:
    """What a run leaves.

    Attributes:
        best: the epoch, step and metrics of the exported weights.
        exports: exported files.
        playback: how plugins play the `.nam` by default (approximate tanh); None without one, and for nets
            with knobs, whose file has them at one setting, not at that of the recording.
    """

    best: dict[str, Any]
    exports: list[Export] = field(default_factory=list)
    playback: Playback | None = None


def hand_on(job: Job, fitted: Fitted, folder: RunFolder) -> HandedOn | None:
    """Load the best weights, export them and prove each export; None when nothing was trained yet.

    Raises:
        ExportError: an export does not play as the net.
    """
    checkpoint = _best_checkpoint(fitted)
    if checkpoint is None:
        return None
    job.net.cpu()
    record = load_net_weights(job.net, checkpoint).get(RECORD, {})
    job.net.eval()
    for dataset in (job.datasets.train, job.datasets.validation):
        dataset.handshake(job.net)
    result = HandedOn(_best(fitted, record))
    ready = job.task.ready_to_export(job, training_record(job, fitted, result.best))
    exporters = [component.build() for component in job.exporters]
    result.exports = export_all(ready.net, exporters, folder.path, ready.metadata, ready.proof)
    for export in result.exports:
        if export.path.suffix == ".nam" and export.verification.plays and ready.is_one_sound:
            past = ready.net.receptive_field or 1
            result.playback = playback_esr(export.path, ready.piece, past)
    folder.update(**_facts(result))
    _say(result, fitted)
    return result


def show_results(job: Job, result: HandedOn, fitted: Fitted, folder: RunFolder, *, show: bool) -> None:
    """Draw the pictures and write the report. What fails here is said, and costs nothing."""
    try:
        job.task.show_results(job, result, fitted, folder, show)
    except Exception as error:  # the model is already written, and a picture is not worth a failed run
        log.warning("the plots or the report could not be made: %s: %s", type(error).__name__, error)
        log.debug("details", exc_info=True)


def training_record(job: Job, fitted: Fitted, best: dict[str, Any]) -> dict[str, Any]:
    """The ``training`` part of an export's metadata."""
    metrics = best.get("metrics", {})
    configs = job.config.canonical()
    record: dict[str, Any] = finite(
        {
            "epochs": fitted.epochs,
            "steps": fitted.steps,
            "best_epoch": best.get("epoch"),
            "best_step": best.get("step"),
            "validation_esr": metrics.get("ESR"),
            "validation_mse": metrics.get("MSE"),
            "validation": None if "ESR" in metrics else metrics,
            "interrupted": fitted.interrupted or None,
            "seed": job.config.learning.seed,
            "versions": versions(),
            "settings": {
                "receptive_field": job.net.receptive_field,
                "ny": job.datasets.train.ny,
                "output_gain": job.datasets.output_gain,
                "optimizer": configs["model"].get("optimizer"),
                "lr_scheduler": configs["model"].get("lr_scheduler"),
                "loss": configs["model"].get("loss"),
                "train_dataloader": configs["learning"].get("train_dataloader"),
            },
        }
    )
    return record


def _best_checkpoint(fitted: Fitted) -> Path | None:
    """The best weights; the last ones of a run without any validation."""
    if fitted.checkpoints.best.is_file():
        return fitted.checkpoints.best
    if fitted.checkpoints.last.is_file():
        log.warning("no validation was run: the last weights are exported, nothing says how good they are")
        return fitted.checkpoints.last
    return None


def _best(fitted: Fitted, record: dict[str, Any]) -> dict[str, Any]:
    """Epoch, step and metrics of the weights that are exported."""
    if fitted.ranking:
        entry = fitted.ranking[0]
        return {key: entry[key] for key in ("epoch", "step", "metrics")}
    return {"epoch": record.get("position", {}).get("epoch"), "step": fitted.steps, "metrics": {}}


def _facts(result: HandedOn) -> dict[str, Any]:
    """What run.json says about the result."""
    playback = result.playback
    facts: dict[str, Any] = finite(
        {
            "best": result.best,
            "playback_esr": None if playback is None else playback.esr,
            "playback_esr_exact": None if playback is None else playback.exact,
            "playback_seconds": None if playback is None else playback.seconds,
            "exports": [
                {
                    "exporter": export.name,
                    "file": export.path.name,
                    "bytes": export.path.stat().st_size,
                    "difference": export.verification.max_abs,
                }
                for export in result.exports
            ],
        }
    )
    return facts


def epoch_of(result: HandedOn, fitted: Fitted) -> str:
    """The best epoch, counted from 1 as people do, and how many there were; an unfinished one counts."""
    epoch = result.best["epoch"]
    return "unknown" if epoch is None else f"{epoch + 1} of {max(epoch + 1, fitted.epochs)}"


def playback_text(playback: Playback) -> str:
    """How plugins play it, in words."""
    return f"{playback.esr:.4g} against {playback.exact:.4g} on the loudest {playback.seconds:.3g} s"


def _say(result: HandedOn, fitted: Fitted) -> None:
    metrics = result.best["metrics"]
    shown = {"ESR": metrics["ESR"]} if "ESR" in metrics else metrics
    quality = "".join(f", {name} {value:.4g}" for name, value in shown.items())
    if result.playback is not None:
        quality += f" (with the plugins' approximate tanh {playback_text(result.playback)})"
    log.info("exported the weights of epoch %s%s", epoch_of(result, fitted), quality)
    for export in result.exports:
        proof = "the weights are those of the net; nothing here can play the file"
        if export.verification.plays:
            proof = f"plays as the net, largest difference {export.verification.max_abs:.1e}"
        log.info("  %s (%s)", export.path, proof)
