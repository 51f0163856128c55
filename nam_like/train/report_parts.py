"""The parts that reports are made of: a page, tables, players, pictures, configurations.

Pictures and audio are embedded, so that a report needs nothing beside it and no network.
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
from nam_like.train.telling import Audio

__all__ = [
    "configurations",
    "metrics_table",
    "pictures",
    "player",
    "table",
    "wav_base64",
    "write_page",
]

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


def write_page(run_dir: Path, title: str, body: Iterable[str]) -> Path:
    """Write ``report.html``.

    Args:
        run_dir: the folder.
        title: heading of the page.
        body: pieces of HTML; empty ones are left out.

    Returns:
        The path of the file.
    """
    page = _PAGE.substitute(title=html.escape(title), version=__version__, body="\n".join(filter(None, body)))
    path = run_dir / "report.html"
    write_text_atomic(path, page)
    return path


def player(name: str, signal: Audio, sample_rate: float) -> str:
    """A player of a signal (N,), with its name over it."""
    return (
        f'<div>{html.escape(name)}<audio controls preload="none" src="data:audio/wav;base64,'
        f'{wav_base64(signal, sample_rate)}"></audio></div>'
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table; empty when there are no rows."""
    lines = [
        "<tr>" + "".join(f'<td class="n">{html.escape(str(cell))}</td>' for cell in row) + "</tr>"
        for row in rows
    ]
    if not lines:
        return ""
    titles = "".join(f"<th>{html.escape(name)}</th>" for name in header) if any(header) else ""
    return f"<table>{f'<tr>{titles}</tr>' if titles else ''}{''.join(lines)}</table>"


def wav_base64(signal: Audio, sample_rate: float) -> str:
    """A signal (N,) as a 16-bit WAV in base64; full scale is 1.0."""
    pcm = np.round(np.clip(np.nan_to_num(signal), -1.0, 1.0) * 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(round(sample_rate))
        file.writeframes(pcm.tobytes())
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def pictures(images: Sequence[Path]) -> str:
    """PNG files, embedded; those that do not exist are left out."""
    tags = [
        f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,'
        f'{base64.b64encode(path.read_bytes()).decode("ascii")}">'
        for path in images
        if path.is_file()
    ]
    return "<h2>Pictures</h2>" + "\n".join(tags) if tags else ""


def metrics_table(metrics_csv: Path | None, larger_is_better: Iterable[str] = ()) -> str:
    """Best and last value of everything that the log of a run holds.

    Args:
        metrics_csv: the log; None or an empty one gives no table.
        larger_is_better: names of values that are best where they are largest.
    """
    curves = read_metrics(metrics_csv) if metrics_csv is not None else {}
    turned = set(larger_is_better)
    rows = []
    for curve in curves.values():
        epoch, best = curve.largest if curve.name in turned else curve.best
        rows.append((curve.name, f"{best:.6g}", f"{epoch + 1:g}", f"{curve.values[-1]:.6g}"))
    return "<h2>Metrics</h2>" + table(("name", "best", "at epoch", "last"), rows) if rows else ""


def configurations(configs: Mapping[str, object]) -> str:
    """JSON objects by file name, folded."""
    blocks = [
        f"<details><summary>{html.escape(name)}</summary>"
        f"<pre>{html.escape(json.dumps(value, indent=2, ensure_ascii=False, default=str))}</pre></details>"
        for name, value in configs.items()
    ]
    return "<h2>Configuration</h2>" + "".join(blocks) if blocks else ""
