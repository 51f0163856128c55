"""Spectrograms of target and prediction, and where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nam_like.train.plot_style import heading
from nam_like.train.telling import Audio, Prediction, level_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["band_powers", "plot_spectrograms"]

FRAME = 4096  # samples: 12 Hz apart at 48 kHz
LOWEST_HZ = 50.0
RANGE_DB = 90.0  # shown below the loudest band
DIFFERENCE_DB = 12.0  # where the colours of the difference end


def band_powers(
    signal: Audio, sample_rate: float, columns: int = 900, bands: int = 180
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Power in logarithmic frequency bands over time.

    Each frame is the Hann-windowed power spectrum of 4096 samples. A band holds the mean of the spectrum
    between its edges, found by integrating it, so that bands narrower than a bin and bands of many bins are
    treated alike.

    Args:
        signal: (N,).
        sample_rate: in Hz.
        columns: frames at most; long signals have gaps between them.
        bands: bands between 50 Hz and the Nyquist frequency.

    Returns:
        Powers (bands, frames), a full-scale sine in one bin being 0.25, and band edges in Hz (bands + 1,).
    """
    padded = np.pad(np.asarray(signal, np.float64), (0, max(0, FRAME - signal.size)))
    last = padded.size - FRAME
    starts = np.unique(np.linspace(0, last, min(columns, 1 + last // 512)).astype(int))
    window = np.hanning(FRAME + 1)[:-1]
    edges = np.geomspace(LOWEST_HZ, sample_rate / 2, bands + 1)
    # bin k covers (k - 1/2, k + 1/2), so the integral over all bins below f is read at f / width + 1/2
    position = np.clip(edges / (sample_rate / FRAME) + 0.5, 0, FRAME // 2 + 1)
    whole = np.minimum(position.astype(int), FRAME // 2)
    powers = np.empty((bands, starts.size))
    for column, start in enumerate(starts):
        spectrum = np.abs(np.fft.rfft(padded[start : start + FRAME] * window) / window.sum()) ** 2
        below = np.concatenate([[0.0], np.cumsum(spectrum)])
        at_edges = below[whole] + (position - whole) * spectrum[whole]
        powers[:, column] = np.diff(at_edges) / np.diff(position)
    return powers, edges


def plot_spectrograms(figure: Figure, prediction: Prediction, title: str) -> None:
    """Draw the spectrograms of target and prediction, and their difference in dB.

    Args:
        figure: an empty figure.
        prediction: signals (N,).
        title: heads the figure, before the name of the file and its ESR.
    """
    target_power, edges = band_powers(prediction.y, prediction.sample_rate)
    made_power, _ = band_powers(prediction.y_hat, prediction.sample_rate)
    target, made = level_db(target_power), level_db(made_power)
    loudest = float(target.max())
    audible = np.maximum(target, made) > loudest - RANGE_DB + 20
    difference = np.where(audible, made - target, np.nan)
    seconds = np.linspace(0, prediction.y.size / prediction.sample_rate, target.shape[1] + 1)

    heading(figure, title, prediction)
    panels = figure.subplots(3, 1, sharex=True, sharey=True)
    levels: dict[str, Any] = {"cmap": "magma", "vmin": loudest - RANGE_DB, "vmax": loudest}
    signed: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -DIFFERENCE_DB, "vmax": DIFFERENCE_DB}
    rows: tuple[tuple[str, npt.NDArray[np.float64], dict[str, Any]], ...] = (
        ("target", target, levels),
        ("prediction", made, levels),
        ("difference: red where the prediction has too much, blue where too little", difference, signed),
    )
    ticks = [tick for tick in (100, 1000, 10000) if tick < edges[-1]]
    for axes, (name, values, colours) in zip(panels, rows, strict=True):
        mesh = axes.pcolormesh(seconds, edges, values, shading="flat", rasterized=True, **colours)
        axes.set(title=name, yscale="log", ylabel="Hz", ylim=(edges[0], edges[-1]))
        axes.set_yticks(ticks, [f"{tick // 1000}k" if tick >= 1000 else str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.grid(visible=False)
        bar = figure.colorbar(
            mesh, ax=axes, pad=0.01, aspect=12, extend="both" if colours is signed else "min"
        )
        bar.set_label("dB")
        bar.outline.set_visible(False)
    panels[-1].set_facecolor("#f3f4f6")
    panels[-1].set_xlabel("seconds")
