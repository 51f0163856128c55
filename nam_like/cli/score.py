"""Score an exported enhancement net on the validation files of a data JSON; the worst come first."""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from nam_like.cli.console import DONE, table

if TYPE_CHECKING:
    from nam_like.train.scoring import Score

EXAMPLES = """examples:
  nam_like score out/latest/model.ts data.json
  nam_like score model.ts data_test.json --measures sisdr pesq --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", type=Path, help="TorchScript of an enhancement net")
    parser.add_argument("data", type=Path, metavar="data.json", help="its `validation` is what is played")
    parser.add_argument(
        "--measures",
        nargs="+",
        choices=("sisdr", "pesq", "estoi", "stoi"),
        help="what is measured; default: SI-SDR, and PESQ and ESTOI where nam_like[speech] is installed",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, …")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="PATH=VALUE", help="override a value"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--no-extensions", action="store_true", help="load no extensions")


def run(arguments: argparse.Namespace) -> int:
    """Play the validation examples through the net and print what they score."""
    from nam_like import extensions

    if not arguments.no_extensions:
        extensions.load_extensions()
    from nam_like.config.run import load_data
    from nam_like.data.base import DataError
    from nam_like.data.build import init_split
    from nam_like.export.enhance.model import load_model
    from nam_like.train.scoring import measures, score_examples

    model = load_model(arguments.model, arguments.device)
    data, placing = load_data(arguments.data, arguments.overrides)
    with placing():
        dataset = init_split(data, "validation", folders=[arguments.data.parent])
    if not dataset.padded:
        raise DataError(f"{arguments.data}: expected examples of named signals, but got aligned recordings")
    made = measures(arguments.measures, round(float(dataset.sample_rate or 0)))
    scores = list(score_examples(model, dataset, made))
    first = next(iter(made))
    scores.sort(key=lambda score: score.values[first][1])
    print(_json(scores) if arguments.json else _text(scores))
    return DONE


def _means(scores: list[Score]) -> dict[str, list[float | None]]:
    """Mean of each measure before and after, over the examples where it could be measured."""
    found: dict[str, list[float | None]] = {}
    for name in scores[0].values:
        pairs = [score.values[name] for score in scores]
        known = [pair for pair in pairs if not any(math.isnan(value) for value in pair)]
        found[name] = [statistics.mean(pair[when] for pair in known) if known else None for when in (0, 1)]
    return found


def _text(scores: list[Score]) -> str:
    rows = [
        (
            score.name,
            ", ".join(f"{name} {pair[0]:.3f} → {pair[1]:.3f}" for name, pair in score.values.items()),
        )
        for score in scores
    ]
    shown = (
        f"{name} {before:.3f} → {after:.3f}"
        for name, (before, after) in _means(scores).items()
        if before is not None
    )
    return f"{table(rows)}\nmean of {len(scores)}: {', '.join(shown)}"


def _json(scores: list[Score]) -> str:
    files = [
        {
            "name": score.name,
            "seconds": round(score.seconds, 3),
            "scores": {
                name: [None if math.isnan(value) else value for value in pair]
                for name, pair in score.values.items()
            },
        }
        for score in scores
    ]
    return json.dumps({"mean": _means(scores), "files": files}, indent=2)
