"""``report.html``: one file to look at, listen to and send on.

Pictures and short audio excerpts are embedded, so that the file needs nothing beside it and no network.
"""

from __future__ import annotations

import base64
import html
import io
import json
import wave
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template

import numpy as np

from nam_like import __version__
from nam_like.files import write_text_atomic
from nam_like.train.history import read_metrics
from nam_like.train.telling import Audio, Prediction, telling_window

__all__ = ["write_report"]

EXCERPT_SECONDS = 6.0
MAX_EXCERPTS = 4  # validation files with players; each costs some 3 MB

_PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title><style>
body{font:15px/1.5 system-ui,sans-serif;color:#2b2f36;max-width:70rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
.muted{color:#6b7280}table{border-collapse:collapse}
td,th{padding:.25rem .9rem .25rem 0;text-align:left;border-bottom:1px solid #e5e7eb;vertical-align:top}
td.n{font-variant-numeric:tabular-nums}
img{width:100%;border:1px solid #e5e7eb;border-radius:6px;margin:.4rem 0}
audio{width:100%;height:2.2rem}
.players{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:1rem}
pre{background:#f7f7f8;padding:.8rem;overflow:auto;border-radius:6px;font-size:13px}
summary{cursor:pointer;font-weight:600}
</style></head><body>
<h1>$title</h1><p class="muted">nam_like $version</p>
$body
</body></html>
""")


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
        _table(("", ""), (summary or {}).items()),
        _files(predictions),
        *(_listen(prediction) for prediction in predictions[:MAX_EXCERPTS]),
        _images(images),
        _metrics(metrics_csv),
        _configs(configs or {}),
    ]
    page = _PAGE.substitute(title=html.escape(title), version=__version__, body="\n".join(filter(None, body)))
    path = run_dir / "report.html"
    write_text_atomic(path, page)
    return path


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table; empty when there are no rows."""
    lines = [
        "<tr>" + "".join(f'<td class="n">{html.escape(str(cell))}</td>' for cell in row) + "</tr>"
        for row in rows
    ]
    if not lines:
        return ""
    titles = "".join(f"<th>{html.escape(name)}</th>" for name in header) if any(header) else ""
    return f"<table>{f'<tr>{titles}</tr>' if titles else ''}{''.join(lines)}</table>"


def _files(predictions: Sequence[Prediction]) -> str:
    rows = [
        (item.name, f"{item.esr:.5g}", f"{item.y.size / item.sample_rate:.1f} s", f"{item.sample_rate:g} Hz")
        for item in predictions
    ]
    return "<h2>Validation</h2>" + _table(("file", "ESR", "length", "rate"), rows) if rows else ""


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
    cells = "".join(
        f'<div>{name}<audio controls preload="none" src="data:audio/wav;base64,'
        f'{_wav(signal, prediction.sample_rate)}"></audio></div>'
        for name, signal in players
    )
    start = part.start / prediction.sample_rate
    stop = part.stop / prediction.sample_rate
    return (
        f"<h2>Listen: {html.escape(prediction.name)}, {start:.1f} to {stop:.1f} s</h2>"
        f'<div class="players">{cells}</div>'
    )


def _wav(signal: Audio, sample_rate: float) -> str:
    """A signal (N,) as a 16-bit WAV in base64; full scale is 1.0."""
    pcm = np.round(np.clip(np.nan_to_num(signal), -1.0, 1.0) * 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(round(sample_rate))
        file.writeframes(pcm.tobytes())
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _images(images: Sequence[Path]) -> str:
    tags = [
        f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode("ascii")}">'
        for path in images
        if path.is_file()
    ]
    return "<h2>Pictures</h2>" + "\n".join(tags) if tags else ""


def _metrics(metrics_csv: Path | None) -> str:
    curves = read_metrics(metrics_csv) if metrics_csv is not None else {}
    rows = []
    for curve in curves.values():
        epoch, best = curve.best
        rows.append((curve.name, f"{best:.6g}", f"{epoch + 1:g}", f"{curve.values[-1]:.6g}"))
    return "<h2>Metrics</h2>" + _table(("name", "smallest", "at epoch", "last"), rows) if rows else ""


def _configs(configs: Mapping[str, object]) -> str:
    blocks = [
        f"<details><summary>{html.escape(name)}</summary>"
        f"<pre>{html.escape(json.dumps(value, indent=2, ensure_ascii=False, default=str))}</pre></details>"
        for name, value in configs.items()
    ]
    return "<h2>Configuration</h2>" + "".join(blocks) if blocks else ""
