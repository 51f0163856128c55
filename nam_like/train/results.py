"""What a finished run shows: its title, its facts, and the pictures and report of a sample-aligned net."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nam_like.models.base import Net
from nam_like.train.evaluate import play_validation
from nam_like.train.finish import HandedOn, epoch_of, playback_text

if TYPE_CHECKING:
    from nam_like.train.fit import Fitted
    from nam_like.train.prepare import Job
    from nam_like.train.run_folder import RunFolder

__all__ = ["show_aligned_results", "summary_of", "title_of"]


def show_aligned_results(
    job: Job, result: HandedOn, fitted: Fitted, folder: RunFolder, *, show: bool
) -> None:
    """Play the validation files; draw targets, predictions and learning curves; write the report."""
    from nam_like.train.plots import Prediction, plot_run
    from nam_like.train.report import write_report

    files = play_validation(cast(Net, job.net), job.datasets.validation)
    rate = float(job.datasets.validation.sample_rate or 48_000.0)
    predictions = [Prediction(file.name, file.x, file.y, file.y_hat, rate, file.esr) for file in files]
    folder.update(validation_files=[{"name": file.name, "esr": file.esr} for file in files])
    title = title_of(job, result, fitted)
    images = plot_run(
        folder.path, predictions=predictions, metrics_csv=folder.metrics, title=title, show=show
    )
    write_report(
        folder.path,
        title=title,
        predictions=predictions,
        images=images,
        metrics_csv=folder.metrics,
        summary=summary_of(job, result, fitted),
        configs={f"config_{name}.json": value for name, value in job.config.canonical().items()},
    )


def title_of(job: Job, result: HandedOn, fitted: Fitted) -> str:
    """What pictures and report are headed with: the name, and the epoch of the weights."""
    name = job.config.data.metadata.name or job.config.model.net.name
    return f"{name}, epoch {epoch_of(result, fitted)}"


def _reach(job: Job) -> dict[str, object]:
    """How much of the input an output sample depends on."""
    field = job.net.receptive_field
    return {"receptive field": "the whole input" if field is None else f"{field} samples"}


def summary_of(job: Job, result: HandedOn, fitted: Fitted) -> dict[str, object]:
    """Facts for the top of the report."""
    parameters = sum(parameter.numel() for parameter in job.net.parameters())
    rate = job.datasets.train.sample_rate
    facts: dict[str, object] = {
        "net": f"{job.config.model.net.name}, {parameters} parameters",
        **_reach(job),
        "sample rate": "unknown" if rate is None else f"{rate:g} Hz",
        "epochs": f"{fitted.epochs}",
        "best epoch": epoch_of(result, fitted),
        **{name: f"{value:.6g}" for name, value in result.best["metrics"].items()},
        "training time": f"{fitted.seconds:.0f} s",
    }
    if result.playback is not None:
        facts["ESR with the plugins' approximate tanh"] = playback_text(result.playback)
    if fitted.interrupted:
        facts["interrupted by"] = fitted.interrupted
    return facts
