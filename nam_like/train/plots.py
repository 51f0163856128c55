"""The pictures of a run: target against prediction, spectrograms and learning curves.

Figures are drawn without pyplot unless they are to be shown, so that nothing depends on a display and no
figure stays open. matplotlib is imported when the first figure is made.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nam_like.files import atomic_path
from nam_like.train.history import read_metrics
from nam_like.train.plot_curves import plot_curves
from nam_like.train.plot_spectrogram import plot_spectrograms
from nam_like.train.plot_style import PREDICTION, RESIDUAL, STYLE, TARGET, heading
from nam_like.train.telling import Audio, Prediction, level_db, telling_window

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Prediction",
    "canvas",
    "draw_all",
    "plot_comparison",
    "plot_curves",
    "plot_run",
    "plot_spectrograms",
]

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 0.03  # a few periods of a low guitar note


def plot_run(
    run_dir: Path,
    *,
    predictions: Sequence[Prediction],
    metrics_csv: Path | None,
    title: str,
    show: bool,
) -> list[Path]:
    """Draw all pictures of a run into its folder.

    Args:
        run_dir: where the PNGs go: ``comparison.png`` and ``spectrogram.png`` (``comparison_2.png``, …
            for further validation files) and ``curves.png``.
        predictions: one per validation file.
        metrics_csv: the log of the run; None or an empty one gives no curves.
        title: what every picture is headed with: model name and epochs.
        show: open windows as well and wait until they are closed, where there is a display.

    Returns:
        The files written.
    """
    jobs: list[tuple[str, Callable[[Figure], None]]] = []
    for index, prediction in enumerate(predictions, start=1):
        suffix = "" if index == 1 else f"_{index}"
        about: dict[str, Any] = {"prediction": prediction, "title": title}
        jobs.append((f"comparison{suffix}.png", functools.partial(plot_comparison, **about)))
        jobs.append((f"spectrogram{suffix}.png", functools.partial(plot_spectrograms, **about)))
    curves = read_metrics(metrics_csv) if metrics_csv is not None else {}
    if curves:
        jobs.append(("curves.png", functools.partial(plot_curves, curves=curves, title=title)))
    return draw_all(run_dir, jobs, show=show)


def draw_all(
    run_dir: Path, jobs: Sequence[tuple[str, Callable[[Figure], None]]], *, show: bool
) -> list[Path]:
    """Draw pictures into a folder.

    Args:
        run_dir: the folder.
        jobs: names of PNG files, and what draws each of them on an empty figure.
        show: open windows as well and wait until they are closed, where there is a display.

    Returns:
        The files written.
    """
    written = []
    with canvas(show) as new_figure:
        for name, draw in jobs:
            figure = new_figure()
            draw(figure)
            path = run_dir / name
            with atomic_path(path) as temporary:
                figure.savefig(temporary)
            written.append(path)
    return written


@contextlib.contextmanager
def canvas(show: bool) -> Iterator[Callable[[], Figure]]:
    """Yield a maker of figures in our style; when `show`, the figures are on screen when the block ends."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        if not show:
            yield lambda: Figure(figsize=(11, 7), layout="constrained")
            return
        from matplotlib import pyplot

        figures: list[Figure] = []

        def new_figure() -> Figure:
            figures.append(pyplot.figure(figsize=(11, 7), layout="constrained"))
            return figures[-1]

        try:
            yield new_figure
            if figures and getattr(figures[0].canvas, "required_interactive_framework", None):
                pyplot.show()
            else:
                logger.info("the plots are not shown: there is no display")
        finally:
            for figure in figures:
                pyplot.close(figure)


def plot_comparison(figure: Figure, prediction: Prediction, title: str) -> None:
    """Target and prediction over the most telling window, the residual below, the whole file at the bottom.

    Args:
        figure: an empty figure.
        prediction: signals (N,).
        title: heads the figure, before the name of the file and its ESR.
    """
    rate = prediction.sample_rate
    window = telling_window(prediction.y, prediction.residual, max(16, round(WINDOW_SECONDS * rate)))
    heading(figure, title, prediction)
    top, middle, bottom = figure.subplots(3, 1, height_ratios=[5, 2.2, 2.2])
    middle.sharex(top)
    top.tick_params(labelbottom=False)
    milliseconds = np.arange(window.stop - window.start) / rate * 1e3
    y, y_hat = prediction.y[window], prediction.y_hat[window]
    error = y_hat - y

    top.plot(milliseconds, y, color=TARGET, linewidth=2.4, label="target")
    top.plot(milliseconds, y_hat, color=PREDICTION, linewidth=1.3, label="prediction")
    top.set(
        title=f"the most telling {1e3 * WINDOW_SECONDS:.0f} ms (large signal, large error)",
        ylabel="amplitude",
    )
    top.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.1)
    top.margins(x=0)

    middle.fill_between(milliseconds, error, color=RESIDUAL, alpha=0.18, linewidth=0)
    middle.plot(milliseconds, error, color=RESIDUAL, linewidth=1.2)
    signal_db, error_db = (float(level_db(float(np.mean(np.square(item))))) for item in (y, error))
    below = signal_db - error_db
    magnified = float(np.ptp(y)) / max(float(np.ptp(error)), 1e-12)
    middle.set(
        title=f"residual: {abs(below):.1f} dB {'below' if below >= 0 else 'above'} the target here"
        f" (axis magnified {magnified:.1f} times)",
        xlabel=f"milliseconds from {window.start / rate:.3f} s",
        ylabel="amplitude",
    )
    _levels(bottom, prediction, window)


def _levels(axes: Axes, prediction: Prediction, window: slice) -> None:
    """Level of target and residual over the whole file, with the window marked."""
    rate, total = prediction.sample_rate, prediction.y.size
    block = max(64, total // 700)
    count = max(1, total // block)
    seconds = (np.arange(count) + 0.5) * block / rate

    def rms(signal: Audio) -> npt.NDArray[np.float64]:
        return level_db(
            np.mean(np.square(signal[: count * block].reshape(count, -1), dtype=np.float64), axis=1)
        )

    target, error = rms(prediction.y), rms(prediction.residual)
    bottom = max(-110.0, float(min(target.min(), error.min())) - 3)
    axes.fill_between(seconds, bottom, target, color=TARGET, alpha=0.25, linewidth=0, label="target")
    axes.plot(seconds, error, color=RESIDUAL, linewidth=1.0, label="residual")
    axes.axvspan(window.start / rate, window.stop / rate, color=PREDICTION, alpha=0.5, linewidth=0)
    axes.axvline(
        (window.start + window.stop) / 2 / rate, color=PREDICTION, linewidth=1.2, label="shown above"
    )
    axes.set(title="level over the whole file", xlabel="seconds", ylabel="dBFS (RMS)", xlim=(0, total / rate))
    axes.set_ylim(bottom, max(float(target.max()), float(error.max())) + 4)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, borderaxespad=0.1)
