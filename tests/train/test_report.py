"""The report: complete in itself, true to the audio, and safe to open whatever a file is called."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import soundfile

from nam_like.train.report import write_report
from nam_like.train.telling import Prediction

RATE = 8000


def a_prediction(name: str, peak: float = 0.5) -> Prediction:
    y = peak * np.sin(np.arange(2 * RATE) / 7.0)
    return Prediction(name, y, y, 0.5 * y, float(RATE), 0.25)


class Attributes(HTMLParser):
    """Collects the attributes of every tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_needs_nothing_beside_it(tmp_path: Path) -> None:
    image = tmp_path / "comparison.png"
    image.write_bytes(b"\x89PNG")
    (tmp_path / "metrics.csv").write_text("epoch,ESR\n0,0.5\n1,0.25\n", encoding="utf-8")
    path = write_report(
        tmp_path,
        title="WaveNet",
        predictions=[a_prediction("a.wav")],
        images=[image, tmp_path / "missing.png"],
        metrics_csv=tmp_path / "metrics.csv",
        summary={"receptive field": "4093 samples"},
        configs={"data.json": {"train": {"ny": 8192}}},
    )
    text = path.read_text(encoding="utf-8")
    tags = Attributes(text).found
    sources = [attributes["src"] or "" for _, attributes in tags if "src" in attributes]
    assert len(sources) == 5
    assert all(source.startswith("data:") for source in sources)
    assert not re.findall(r"https?://", text)
    for fact in ("4093 samples", "0.25", "&quot;ny&quot;: 8192", "a.wav"):
        assert fact in text


def test_players_hold_target_and_prediction_at_one_gain(tmp_path: Path) -> None:
    path = write_report(tmp_path, title="", predictions=[a_prediction("loud", peak=2.0)])
    audio = re.findall(r"data:audio/wav;base64,([A-Za-z0-9+/=]+)", path.read_text(encoding="utf-8"))
    target, played, difference, dry = (
        soundfile.read(io.BytesIO(base64.b64decode(item)))[0] for item in audio
    )
    assert np.max(np.abs(target)) > 0.99  # scaled down by 2, not clipped
    np.testing.assert_allclose(played, 0.5 * target, atol=1e-4)
    np.testing.assert_allclose(difference, played - target, atol=1e-4)
    assert len(dry) == 2 * RATE


def test_names_are_escaped(tmp_path: Path) -> None:
    path = write_report(
        tmp_path,
        title="<script>alert(1)</script>",
        predictions=[a_prediction("<img src=x>")],
        summary={"<b>": "</td>"},
        configs={"<i>.json": "</pre>"},
    )
    tags = {tag for tag, _ in Attributes(path.read_text(encoding="utf-8")).found}
    assert not tags & {"script", "img", "b", "i"}
