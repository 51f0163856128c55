"""``report.html`` of an enhancement run: scores per file, the worst first, and what they sound like."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nam_like.train.report_parts import (
    configurations,
    metrics_table,
    pictures,
    player,
    table,
    write_page,
)

if TYPE_CHECKING:
    from nam_like.train.speech_results import EnhancedFile

__all__ = ["write_speech_report"]

MAX_SECONDS = 8.0  # of an example that can be heard
MAX_PLAYERS = 6  # examples with players; each costs some 1 MB at 16 kHz


def write_speech_report(
    run_dir: Path,
    *,
    title: str,
    files: Sequence[EnhancedFile],
    sample_rate: float,
    images: Sequence[Path],
    metrics_csv: Path,
    summary: Mapping[str, object],
    configs: Mapping[str, object],
    larger_is_better: Collection[str] = (),
) -> Path:
    """Write ``report.html`` into the folder of a run.

    Args:
        run_dir: the folder.
        title: heading of the page.
        files: validation examples, the worst first; the first six get players.
        sample_rate: Hz.
        images: PNG files to embed.
        metrics_csv: the log of the run.
        summary: facts shown on top, by name.
        configs: the resolved JSON objects by file name.
        larger_is_better: names of values that are best where they are largest.

    Returns:
        The path of the file.
    """
    body = [
        table(("", ""), summary.items()),
        _scores(files, sample_rate),
        *(_listen(file, sample_rate) for file in files[:MAX_PLAYERS]),
        pictures(images),
        metrics_table(metrics_csv, larger_is_better),
        configurations(configs),
    ]
    return write_page(run_dir, title, body)


def _scores(files: Sequence[EnhancedFile], sample_rate: float) -> str:
    """What each example scored before and after, and the mean of all."""
    if not files:
        return ""
    names = list(files[0].scores)
    header = ["file", "length", *(f"{name} {when}" for name in names for when in ("before", "after"))]
    rows: list[list[object]] = [
        [
            file.name,
            f"{file.target.shape[-1] / sample_rate:.1f} s",
            *(f"{value:.3g}" for name in names for value in file.scores[name]),
        ]
        for file in files
    ]
    means = [np.mean([file.scores[name] for file in files], axis=0) for name in names]
    rows.append(["mean", "", *(f"{value:.3g}" for pair in means for value in pair)])
    return "<h2>Validation, the worst first</h2>" + table(header, rows)


def _listen(file: EnhancedFile, sample_rate: float) -> str:
    """Players of the beginning of an example: before, after, target, and what was taken away."""
    part = slice(0, round(MAX_SECONDS * sample_rate))
    noisy, enhanced, target = file.noisy[0, part], file.enhanced[0, part], file.target[0, part]
    # One gain for all: a difference in level must stay audible.
    gain = 1.0 / max(
        1.0, *(float(np.max(np.abs(signal), initial=0.0)) for signal in (noisy, enhanced, target))
    )
    signals = {"noisy": noisy, "enhanced": enhanced, "target": target, "taken away": noisy - enhanced}
    cells = "".join(player(name, signal * gain, sample_rate) for name, signal in signals.items())
    return f'<h2>Listen: {html.escape(file.name)}</h2><div class="players">{cells}</div>'
