"""Losses and metrics over the epochs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from nam_like.train.history import Curve
from nam_like.train.plot_style import head

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_curves"]

_COLOURS = ("#2f7ebc", "#f08a24", "#2b2f36", "#3f9c5a", "#8e5bb5", "#c8324a", "#8a6d3b", "#5aa9a3")


def plot_curves(
    figure: Figure, curves: Mapping[str, Curve], title: str, larger_is_better: Collection[str] = ()
) -> None:
    """Draw losses on the left, ESR on the right and whatever else was logged between them.

    What is better when larger has a panel for each of its quantities, because their units differ.

    Training curves are dashed; the validation curve of the same quantity has the same colour.

    Args:
        figure: an empty figure.
        curves: by column of ``metrics.csv``.
        title: heads the figure.
        larger_is_better: names of values that are best where they are largest.
    """
    head(figure, title)
    groups = _groups(curves, larger_is_better)
    panels = figure.subplots(1, max(1, len(groups)), squeeze=False)[0]
    for axes, (name, group) in zip(panels, groups.items(), strict=False):
        quantities = list(dict.fromkeys(_quantity(curve) for curve in group))
        for curve in group:
            colour = _COLOURS[quantities.index(_quantity(curve)) % len(_COLOURS)]
            _draw(axes, curve, colour, curve.name in larger_is_better)
        if not any(curve.name in larger_is_better for curve in group):
            _logarithmic(axes, [value for curve in group for value in curve.values])
        axes.set(title=name, xlabel="epoch")
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.09), borderaxespad=0.0)
        axes.margins(x=0.02)


def _logarithmic(axes: Axes, values: list[float]) -> None:
    """A logarithmic axis with plain numbers; a linear one where a value is not positive."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if min(values) <= 0:
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(
        LogLocator(subs=(1.0, 2.0, 5.0) if max(values) / min(values) < 1e3 else (1.0,))
    )
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _groups(curves: Mapping[str, Curve], turned: Collection[str]) -> dict[str, list[Curve]]:
    """The curves by panel; panels without a curve are left out."""
    groups: dict[str, list[Curve]] = {"loss": [], "terms and metrics": [], "ESR": []}
    for name, curve in curves.items():
        lowered = name.lower()
        if lowered.startswith("lr") or "per_second" in lowered:
            continue
        panel = "ESR" if "esr" in lowered else "loss" if lowered.endswith("loss") else "terms and metrics"
        if name in turned:  # dataset by dataset in one panel
            panel = _quantity(curve).partition("/")[0]
        groups.setdefault(panel, []).append(curve)
    return {name: group for name, group in groups.items() if group}


def _quantity(curve: Curve) -> str:
    """What a curve measures, whatever it is measured on: ``mse`` for train_mse, val_mse and MSE."""
    return curve.name.removeprefix("train_").removeprefix("val_").lower()


def _draw(axes: Axes, curve: Curve, colour: str, turned: bool) -> None:
    """One curve, with its best value marked and named."""
    epoch, best = curve.largest if turned else curve.best
    style = "--" if curve.name.startswith("train_") else "-"
    label = f"{curve.name}, best {best:.3g}"
    epochs = [epoch + 1 for epoch in curve.epochs]  # people count from 1, metrics.csv from 0
    axes.plot(epochs, curve.values, color=colour, linestyle=style, linewidth=1.6, label=label)
    axes.plot([epoch + 1], [best], "o", color=colour, markersize=5)
