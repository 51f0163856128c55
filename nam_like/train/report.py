"""``report.html``: one file to look at, listen to and send on.

Pictures and short audio excerpts are embedded; see :mod:`nam_like.train.report_parts`.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nam_like.train.report_parts import (
    configurations,
    metrics_table,
    pictures,
    player,
    table,
    write_page,
)
from nam_like.train.telling import Prediction, telling_window

__all__ = ["write_report"]

EXCERPT_SECONDS = 6.0
MAX_EXCERPTS = 4  # validation files with players; each costs some 3 MB


def write_report(
    run_dir: Path,
    *,
    title: str,
    predictions: Sequence[Prediction] = (),
    images: Sequence[Path] = (),
    metrics_csv: Path | None = None,
    summary: Mapping[str, object] | None = None,
    configs: Mapping[str, object] | None = None,
) -> Path:
    """Write ``report.html`` into the folder of a run.

    Args:
        run_dir: the folder.
        title: heading of the page: model name and epochs.
        predictions: one per validation file; the first four get players of the most telling six seconds.
        images: PNG files to embed, in this order; those that do not exist are left out.
        metrics_csv: the log of the run, from which best and last values are listed.
        summary: facts shown on top, by name ("receptive field": "4093 samples").
        configs: the resolved JSON objects by file name.

    Returns:
        The path of the file.
    """
    body = [
        table(("", ""), (summary or {}).items()),
        _files(predictions),
        *(_listen(prediction) for prediction in predictions[:MAX_EXCERPTS]),
        pictures(images),
        metrics_table(metrics_csv),
        configurations(configs or {}),
    ]
    return write_page(run_dir, title, body)


def _files(predictions: Sequence[Prediction]) -> str:
    rows = [
        (item.name, f"{item.esr:.5g}", f"{item.y.size / item.sample_rate:.1f} s", f"{item.sample_rate:g} Hz")
        for item in predictions
    ]
    return "<h2>Validation</h2>" + table(("file", "ESR", "length", "rate"), rows) if rows else ""


def _listen(prediction: Prediction) -> str:
    """Players of the target, the prediction, their difference and the dry signal."""
    length = round(EXCERPT_SECONDS * prediction.sample_rate)
    part = telling_window(prediction.y, prediction.residual, length)
    y, y_hat = prediction.y[part], prediction.y_hat[part]
    # Target and prediction share one gain: a level difference must stay audible.
    gain = 1.0 / max(1.0, float(np.max(np.abs(y))), float(np.max(np.abs(y_hat))))
    players = (
        ("target", y * gain),
        ("prediction", y_hat * gain),
        ("difference", (y_hat - y) * gain),
        ("dry", prediction.x[part]),
    )
    cells = "".join(player(name, signal, prediction.sample_rate) for name, signal in players)
    start = part.start / prediction.sample_rate
    stop = part.stop / prediction.sample_rate
    return (
        f"<h2>Listen: {html.escape(prediction.name)}, {start:.1f} to {stop:.1f} s</h2>"
        f'<div class="players">{cells}</div>'
    )
