#!/usr/bin/env python3
r"""Train with several recipes, on several devices, with several seeds; tabulate what reaches which ESR when.

    python bin/search_recipes.py recipes.json results.json --device jcm=dry.wav,jcm.wav,4932379 --device …
           [--circuit fuzz=dry.wav,pedal:drive=0.8,4932379 …] [--seeds 0 1] [--only RECIPE …]
           [--seconds 26] [--target jcm=0.012 …] [--table results.md]

``recipes.json`` names the files that all recipes start from and what each of them overrides, in the notation
of ``nam_full --set``:

    {"model": "configs/model/amp/a1_standard.json", "learning": "configs/learning/amp/default.json",
     "set": ["learning.trainer.max_epochs=10"],
     "recipes": {"adam": [], "soap": ["model.optimizer={\"name\": \"SOAP\"}"]}}

``--circuit`` plays the dry recording through a simulated device (``pedal``, ``amp`` or ``pedal_amp`` with its
knobs) and captures that; the recording is kept beside ``results.json``.

Each run is added to ``results.json`` when it is done, and runs that stand there already are not repeated. CPU
and wall time are those of training, without validations, for those depend on how often one looks.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

ROOT = Path(__file__).parents[1]
RATE = 48_000

Result = dict[str, Any]


def runs(arguments: argparse.Namespace, plan: dict[str, Any]) -> Iterator[tuple[str, Any, int]]:
    """Every (recipe, device, seed) that is asked for: all devices and seeds of a recipe, then the next."""
    from benchlib.capture import Device, simulated

    devices = [Device.parse(text) for text in arguments.device]
    devices += [simulated(text, arguments.results.parent) for text in arguments.circuit]
    for recipe in arguments.only or plan["recipes"]:
        for seed in arguments.seeds:
            for device in devices:
                yield recipe, device, seed


def search(arguments: argparse.Namespace, plan: dict[str, Any], results: list[Result]) -> None:
    """Do the runs that are missing."""
    import torch
    from benchlib.capture import train_capture

    torch.set_num_threads(arguments.threads)
    done = {(result["recipe"], result["device"], result["seed"]) for result in results}
    for recipe, device, seed in runs(arguments, plan):
        if (recipe, device.name, seed) in done:
            continue
        start = None if arguments.seconds is None else max(0, device.stop - round(arguments.seconds * RATE))
        overrides = [*plan.get("set", []), *plan["recipes"][recipe], f"learning.seed={seed}"]
        points = train_capture(
            device.data(start=start), ROOT / plan["model"], ROOT / plan["learning"], overrides
        )
        result = {"recipe": recipe, "device": device.name, "seed": seed, "points": points}
        results.append(result)
        arguments.results.write_text(json.dumps(results, indent=1))
        print(f"{recipe:24s} {device.name:10s} seed {seed}: {summary(result)}", flush=True)


def summary(result: Result) -> str:
    """One run in one line."""
    points = result["points"]
    best = min(points, key=lambda point: point["esr"])
    return (
        f"ESR {points[-1]['esr']:.5f} (best {best['esr']:.5f}) after {points[-1]['step']} steps, "
        f"{points[-1]['cpu']:.0f} s CPU"
    )


def first_at(result: Result, target: float) -> dict[str, float] | None:
    """The first validation whose ESR is at most `target`."""
    return next((point for point in result["points"] if point["esr"] <= target), None)


def spread(values: Iterable[float | None], digits: int) -> str:
    """``mean ± half of the range``; ``–`` where a run did not get there."""
    known = [value for value in values if value is not None]
    values = list(values)
    if len(known) < len(values) or not known:
        return "–" if not known else f"({len(known)} of {len(values)})"
    half = (max(known) - min(known)) / 2
    mean = statistics.fmean(known)
    return f"{mean:.{digits}f}" + (f" ± {half:.{digits}f}" if len(known) > 1 else "")


def table(results: list[Result], targets: dict[str, float]) -> str:
    """A Markdown table: a row per recipe; per device the best ESR and CPU seconds to the target."""
    devices = list(dict.fromkeys(result["device"] for result in results))
    head = ["recipe", "steps", "CPU s"]
    for device in devices:
        head.append(f"{device}: ESR")
        if device in targets:
            head.append(f"s to {targets[device]:g}")
    lines = ["| " + " | ".join(head) + " |", "|" + "-|" * len(head)]
    for recipe in dict.fromkeys(result["recipe"] for result in results):
        own = [result for result in results if result["recipe"] == recipe]
        row = [recipe, f"{max(r['points'][-1]['step'] for r in own)}"]
        row.append(f"{statistics.fmean(r['points'][-1]['cpu'] for r in own):.0f}")
        for device in devices:
            here = [result for result in own if result["device"] == device]
            row.append(spread([min(p["esr"] for p in r["points"]) for r in here], 5))
            if device in targets:
                reached = [first_at(result, targets[device]) for result in here]
                row.append(spread([None if point is None else point["cpu"] for point in reached], 0))
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def main() -> int:
    """Search; the table is printed last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", type=Path, help="what is tried")
    parser.add_argument("results", type=Path, help="JSON file that the runs are added to")
    parser.add_argument("--device", action="append", default=[], metavar="NAME=DRY,WET,STOP")
    parser.add_argument(
        "--circuit", action="append", default=[], metavar="NAME=DRY,DEVICE[:KNOB=VALUE…],STOP"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", metavar="RECIPE", help="these recipes, in this order")
    parser.add_argument("--seconds", type=float, help="train on so much before the validation part (s)")
    parser.add_argument("--target", action="append", default=[], metavar="NAME=ESR")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--table", type=Path, help="write the table here")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    plan = json.loads(arguments.recipes.read_text())
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else []
    search(arguments, plan, results)
    targets = {name: float(value) for name, value in (text.split("=") for text in arguments.target)}
    text = table(results, targets)
    if arguments.table:
        arguments.table.write_text(text + "\n")
    print(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
