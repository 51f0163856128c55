"""Spectrograms of what a net heard, what it answered and what was wanted, and the learning curves."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nam_like.train.history import read_metrics
from nam_like.train.plot_curves import plot_curves
from nam_like.train.plot_style import head
from nam_like.train.plots import draw_all
from nam_like.train.telling import Audio, level_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nam_like.train.speech_results import EnhancedFile

__all__ = ["plot_enhancement", "plot_example", "scores_text", "spectrogram_db"]

MAX_PICTURES = 6  # the worst examples
WINDOW_SECONDS = 0.032  # harmonics of a voice are some 100 Hz apart
COLUMNS = 900
RANGE_DB = 80.0  # shown below the loudest point


def plot_enhancement(
    run_dir: Path,
    files: Sequence[EnhancedFile],
    sample_rate: float,
    metrics_csv: Path,
    *,
    title: str,
    show: bool,
    larger_is_better: Collection[str] = (),
) -> list[Path]:
    """Draw ``enhancement_1.png`` … of the worst examples, and ``curves.png``.

    Args:
        run_dir: where they go.
        files: the worst first.
        sample_rate: Hz.
        metrics_csv: the log of the run.
        title: what every picture is headed with.
        show: open windows as well.
        larger_is_better: names of values that are best where they are largest.

    Returns:
        The files written.
    """
    jobs: list[tuple[str, Callable[[Figure], None]]] = [
        (
            f"enhancement_{number}.png",
            functools.partial(plot_example, file=file, sample_rate=sample_rate, title=title),
        )
        for number, file in enumerate(files[:MAX_PICTURES], start=1)
    ]
    curves = read_metrics(metrics_csv)
    if curves:
        draw = functools.partial(plot_curves, curves=curves, title=title, larger_is_better=larger_is_better)
        jobs.append(("curves.png", draw))
    return draw_all(run_dir, jobs, show=show)


def plot_example(figure: Figure, file: EnhancedFile, sample_rate: float, title: str) -> None:
    """The spectrograms of one example below each other, in the same colours: before, after, target.

    Args:
        figure: an empty figure.
        file: the example; of several channels the first is drawn.
        sample_rate: Hz.
        title: heads the figure, before the name and the scores.
    """
    head(figure, title, file.name, scores_text(file))
    panels = figure.subplots(3, 1, sharex=True, sharey=True)
    shown = [spectrogram_db(signal[0], sample_rate) for signal in (file.noisy, file.enhanced, file.target)]
    top = max(float(levels.max()) for levels in shown)
    seconds = file.target.shape[-1] / sample_rate
    image = None
    for axes, levels, name in zip(panels, shown, ("noisy", "enhanced", "target"), strict=True):
        image = axes.imshow(
            levels,
            origin="lower",
            aspect="auto",
            extent=(0.0, seconds, 0.0, sample_rate / 2000.0),
            vmin=top - RANGE_DB,
            vmax=top,
            cmap="magma",
            interpolation="nearest",
        )
        axes.set(title=name, ylabel="kHz")
        axes.grid(visible=False)
    panels[-1].set_xlabel("seconds")
    if image is not None:
        figure.colorbar(image, ax=list(panels), label="dB", pad=0.01)


def spectrogram_db(signal: Audio, sample_rate: float) -> npt.NDArray[np.float64]:
    """Levels (F, N) in dB of Hann-windowed frames, evenly spaced over the signal (T,)."""
    length = max(64, round(WINDOW_SECONDS * sample_rate))
    padded = np.pad(np.asarray(signal, np.float64), (0, max(0, length - signal.size)))
    last = padded.size - length
    starts = np.unique(np.linspace(0, last, min(COLUMNS, 1 + last // (length // 4))).astype(int))
    window = np.hanning(length + 1)[:-1]
    frames = np.stack([padded[start : start + length] for start in starts])
    spectra = np.abs(np.fft.rfft(frames * window) / window.sum()) ** 2
    return level_db(spectra.T)


def scores_text(file: EnhancedFile) -> str:
    """The scores of an example: ``val_sisdr 3.2 → 9.8``."""
    pairs = (f"{name} {before:.2f} → {after:.2f}" for name, (before, after) in file.scores.items())
    return ", ".join(pairs)
