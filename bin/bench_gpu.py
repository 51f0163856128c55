#!/usr/bin/env python3
"""Time training on a CUDA device: one step of ours against one of the peer's in turn, and a whole capture.

    python bin/bench_gpu.py [--net a1] [--peer /path/to/peer/venv/bin/python] [--steps 8] [--json FILE]
                            [--capture dry.wav wet.wav STOP] [--epochs 100]

Our step is timed twice: started kernel by kernel, and several steps per launch, as a training does them.
Both sides have the same net, weights, batch, loss and optimizer; before anything is timed, loss and gradient
of the first step must agree. With ``--capture`` a net is trained on a recording as ``nam_full`` does it, by
the classic recipe; samples before STOP are trained on. The last line is the ratio of the steps' medians.
Without a CUDA device the exit code is 2.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from bench_capture import data_config, learning_config, train
from bench_train import check_sides, set_up
from benchlib.flops import step_flops
from benchlib.machine import make_batch
from benchlib.nets import MODELS, make_case
from benchlib.sides import Contender, our_side, peer_side, running, time_in_turn

from nam_like.config import jsonc
from nam_like.config.component import component
from nam_like.errors import UserError

#: An optimizer whose steps can be recorded, with the schedule that is usual with it.
RECIPE = {
    "optimizer": {"name": "Adam", "config": {"lr": 0.004}},
    "lr_scheduler": {"name": "ExponentialLR", "config": {"gamma": 0.993}},
}


def describe_device(device: int = 0) -> dict[str, Any]:
    """What is measured."""
    properties = torch.cuda.get_device_properties(device)
    capability = f"{properties.major}.{properties.minor}"
    return {"name": properties.name, "capability": capability, "torch": torch.__version__}


def time_steps(arguments: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a step of each side, and the ratio."""
    case = make_case(arguments.net, "mse", arguments.batch, arguments.ny)
    net: Any = component("net", case.model["net"]).build()
    flops = step_flops(net, case.batch, case.ny)
    specs = [our_side("ours", "auto"), *([peer_side(arguments.peer)] if arguments.peer else [])]
    with running(specs, arguments.threads) as (sides, folder):
        make_batch(folder / "batch.npz", case.batch, int(net.receptive_field), case.ny)
        set_up(sides, case, folder / "batch.npz", arguments)
        differences = check_sides(sides)
        contenders = {side.name: Contender(side) for side in sides}
        options = {"steps": arguments.steps}
        contenders[f"ours, {arguments.steps} per launch"] = Contender(sides[0], "time_launches", options)
        times = time_in_turn(contenders, arguments.repeats)
    figures = {name: taken.summary()["wall"] for name, taken in times.items()}
    for name, wall in figures.items():
        rate = flops / wall["median"] / 1e9
        print(
            f"{name:20s} {1e3 * wall['median']:8.3f} ms a step (min {1e3 * wall['min']:.3f}), "
            f"{rate:.0f} GFLOP/s"
        )
    ours = min(wall["median"] for name, wall in figures.items() if name.startswith("ours"))
    ratio = figures["peer" if arguments.peer else "ours"]["median"] / ours
    return {"first_steps": differences, "steps": figures, "ratio": ratio}


def time_capture(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train a capture as ``nam_full`` does; its seconds by the clock and its ESR."""
    dry, wet, stop = arguments.capture
    learning = learning_config(arguments.epochs, arguments.batch)
    learning["trainer"]["accelerator"] = "gpu"
    learning["steps_per_launch"] = arguments.steps
    shipped = Path(__file__).parents[1] / "configs/model/amp/a1_standard.json"
    configs = {
        "data": data_config(Path(dry).resolve(), Path(wet).resolve(), int(stop), arguments.ny or 8192),
        "model": {**jsonc.loads(jsonc.read_text(shipped)), **RECIPE},
        "learning": learning,
    }
    command = [sys.executable, "-m", "nam_like.cli.full"]
    model, seconds = train(command, configs, folder / "ours", arguments.threads)
    record = json.loads((model.parent / "run.json").read_text(encoding="utf-8"))
    found = {
        "epochs": record["epochs"],
        "steps": record["steps"],
        "fit": record["seconds"]["fit"],
        "process": seconds,
        "esr": record["best"]["metrics"]["ESR"],
    }
    print(
        f"capture: {found['epochs']} epochs, {found['steps']} steps, {found['fit']:.1f} s of training, "
        f"{seconds:.1f} s from start to exported file, ESR {found['esr']:.4g}"
    )
    return found


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", choices=MODELS, default="a1")
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter that has the peer")
    parser.add_argument("--steps", type=int, default=8, help="steps per launch")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--ny", type=int, help="target samples per item (default 8192, LSTM 32768)")
    parser.add_argument("--repeats", type=int, default=20, help="turns of each side")
    parser.add_argument("--threads", type=int, default=4, help="of the processor, for each side")
    parser.add_argument("--capture", nargs=3, metavar=("DRY", "WET", "STOP"), help="time a capture, too")
    parser.add_argument("--epochs", type=int, default=100, help="of the capture")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Benchmark; the ratio is the last line."""
    arguments = parse(argv)
    if not torch.cuda.is_available():
        print("no CUDA device here: there is nothing to measure", file=sys.stderr)
        return 2
    arguments.device = "cuda"
    figures: dict[str, Any] = {"device": describe_device()}
    print(", ".join(map(str, figures["device"].values())), flush=True)
    try:
        figures |= time_steps(arguments)
        if arguments.capture:
            with tempfile.TemporaryDirectory() as folder:
                figures["capture"] = time_capture(arguments, Path(folder))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(f"ratio {figures['ratio']:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
