"""Colours, type and headings that all pictures of a run share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nam_like.train.telling import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MUTED", "PREDICTION", "RESIDUAL", "STYLE", "TARGET", "head", "heading"]

TARGET, PREDICTION, RESIDUAL = "#2b2f36", "#f08a24", "#c8324a"
MUTED = "#6b7280"
STYLE: Any = {  # matplotlib's names
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.edgecolor": "#9ca3af",
    "axes.labelcolor": MUTED,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "savefig.dpi": 130,
    "figure.facecolor": "white",
}


def head(figure: Figure, *parts: str) -> None:
    """Write the heading of a figure: the parts that are not empty, side by side."""
    text = "   ·   ".join(part for part in parts if part)
    figure.suptitle(text, x=0.012, ha="left", fontsize=13, fontweight="bold", color=TARGET)


def heading(figure: Figure, title: str, prediction: Prediction) -> None:
    """Head a figure about one validation file: title, name of the file, ESR as a ratio and in dB."""
    esr = prediction.esr
    decibels = f" ({10 * math.log10(esr):.1f} dB)" if 0 < esr < math.inf else ""
    head(figure, title, prediction.name, f"ESR {esr:.4g}{decibels}")
