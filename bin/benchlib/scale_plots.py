"""Pictures of how the cost of training and playing grows: ours and another side over one quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nam_like.train.plot_style import MUTED, PREDICTION, STYLE, TARGET, head

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

Json = dict[str, Any]
COLORS = {"ours": PREDICTION, "peer": TARGET, "plain": MUTED}
NAMES = {"ours": "nam_like", "peer": "peer", "plain": "nam_like on plain PyTorch"}
#: Heading and label of the horizontal axis of each sweep.
LABELS = {
    "length": ("Training step against length of items", "samples per item"),
    "batch": ("Training step against batch", "items per batch"),
    "channels": ("Training step against channels", "channels of the first array"),
    "threads": ("Training step against threads", "threads"),
    "render-length": ("Rendering against length of audio", "seconds of audio"),
    "render-channels": ("Rendering against channels", "channels of the first array"),
}


def draw(sweep: str, points: Sequence[Json], folder: Path) -> Path:
    """Write the picture of a sweep.

    Args:
        sweep: its name, a key of :data:`LABELS`.
        points: its points, each with ``x``, ``seconds`` by side and, where there are two sides, ``ratio``.
        folder: the picture goes here as ``scale-SWEEP.png``.

    Returns:
        The file.
    """
    import matplotlib
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"scale-{sweep}.png"
    title, label = LABELS[sweep]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.3), layout="constrained")
        head(figure, title)
        left, right = figure.subplots(1, 2)
        _draw_times(left, points)
        _draw_ratios(right, points)
        for axes in (left, right):
            _mark(axes, label, [point["x"] for point in points])
        figure.savefig(path, dpi=100, pil_kwargs={"optimize": True})
    return path


def _draw_times(axes: Axes, points: Sequence[Json]) -> None:
    """Milliseconds of each side, both axes logarithmic: proportional growth is a line of slope 1."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for side, color in COLORS.items():
        found = [(point["x"], 1e3 * point["seconds"][side]) for point in points if side in point["seconds"]]
        if found:
            axes.plot(*zip(*found, strict=True), marker="o", markersize=4, color=color, label=NAMES[side])
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("milliseconds", color=MUTED)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2, borderpad=0.0)


def _draw_ratios(axes: Axes, points: Sequence[Json]) -> None:
    """How many times faster ours is."""
    found = [(point["x"], point["ratio"]) for point in points if "ratio" in point]
    axes.set_title("times faster than the peer" if _has_peer(points) else "times faster", color=MUTED)
    if found:
        axes.plot(*zip(*found, strict=True), marker="o", markersize=4, color=PREDICTION)
        for x, ratio in found:
            axes.annotate(
                f"{ratio:.1f}", (x, ratio), (0, 6), textcoords="offset points", ha="center", fontsize=9
            )
        axes.set_ylim(0.0, 1.2 * max(ratio for _, ratio in found))


def _has_peer(points: Sequence[Json]) -> bool:
    return any("peer" in point["seconds"] for point in points)


def _mark(axes: Axes, label: str, values: Sequence[float]) -> None:
    """A logarithmic axis that is marked at the values measured."""
    axes.set_xscale("log", base=2)
    axes.set_xlabel(label)
    axes.set_xticks(values, [_short(value) for value in values])
    axes.set_xticks([], minor=True)
    axes.margins(x=0.08)


def _short(value: float) -> str:
    """A number as an axis shows it: 16384 is 16k."""
    if value >= 1024 and value % 1024 == 0:
        return f"{value / 1024:.0f}k"
    return f"{value:g}"


def draw_all(sweeps: Mapping[str, Sequence[Json]], folder: Path) -> list[Path]:
    """Write the pictures of all sweeps; returns the files."""
    return [draw(sweep, points, folder) for sweep, points in sweeps.items() if points]
