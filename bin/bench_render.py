#!/usr/bin/env python3
"""Time offline rendering on one thread: our native player in blocks, our torch net, and the peer's, in turn.

    python bin/bench_render.py --net a1 [--peer /path/to/peer/venv/bin/python] [--seconds 4] [--block 64]
    python bin/bench_render.py --model FILE.nam

Realtime factors are seconds of audio per second of CPU time (median over the turns). Torch plays the whole
signal in one piece, the native player in blocks of 16 to 4096 samples. What all of them play is compared
before anything is timed. The last line is the ratio of our native player at ``--block`` to torch (the
peer's, or our own where no peer is given).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchlib.machine import describe_machine
from benchlib.nets import MODELS, make_case, peer_model
from benchlib.sides import Contender, Side, SideError, our_side, peer_side, running, time_in_turn

from nam_like.errors import UserError

RATE = 48_000
BLOCKS = (16, 64, 256, 1024, 4096)
#: Largest error-to-signal ratio between two of the sides.
ESR_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Recorded:
    """Realtime factors recorded on ANOTHER machine: two shared x86-64 cores with AVX-512.

    Attributes:
        engine: NeuralAmpModelerCore 0.5.5, one thread, buffers of 64 samples, fast tanh.
        torch: torch 2.13, the whole signal, one thread, on that machine; None where not recorded.
    """

    engine: float
    torch: float | None


RECORDED = {
    "a1": Recorded(44.7, 14.2),
    "a1-nano": Recorded(67.8, 66.1),
    "a2-full": Recorded(29.6, 22.7),
    "a2-lite": Recorded(281.0, 61.9),
    "lstm-1x8": Recorded(533.0, 91.9),
    "lstm": Recorded(174.0, 43.0),
    "lstm-3x18": Recorded(77.0, 21.4),
    "linear": Recorded(516.0, None),
}


def make_audio(path: Path, seconds: float, seed: int = 0) -> None:
    """Write seeded coloured noise to an ``.npy`` file."""
    white = np.random.default_rng(seed).standard_normal(round(seconds * RATE) + 1)
    np.save(path, (0.2 * (white[1:] + 0.9 * white[:-1])).astype(np.float32))


def set_up(sides: dict[str, Side], arguments: argparse.Namespace, folder: Path) -> dict[str, str]:
    """Give every side the same net and audio, as a `.nam` file to the native player.

    Returns:
        Sides that cannot play, and why.
    """
    make_audio(folder / "audio.npy", arguments.seconds)
    for side in sides.values():
        side.ask("hear", path=str(folder / "audio.npy"))
    problems = {}
    if arguments.model is not None:
        model = arguments.model.resolve()
        for name in [name for name in sides if name != "native"]:
            answer = sides[name].ask("open_net", path=str(model))
            if "problem" in answer:
                problems[name] = answer["problem"]
    else:
        model = folder / "model.nam"
        _set_up_nets([sides[name] for name in sides if name != "native"], arguments.net)
        sides["torch"].ask("export", path=str(model))
    answer = sides["native"].ask("open_stream", path=str(model))
    if "problem" in answer:
        problems["native"] = answer["problem"]
    return problems


def _set_up_nets(sides: list[Side], net: str) -> None:
    """Make the net on both sides of torch, with the weights of the last."""
    case = make_case(net)
    for side in sides:
        model = peer_model(case.model) if side.name == "peer" else case.model
        side.ask("setup", model=model, device="cpu", threads=1, seed=0)
    weights = sides[-1].ask("weights")["weights"]
    for side in sides:
        if not side.ask("load", weights=weights)["loaded"] and side is not sides[-1]:
            raise SideError(f"expected the side '{side.name}' to load weights, but it cannot")


def contenders_of(sides: dict[str, Side]) -> dict[str, Contender]:
    """Everything that is timed, by its row in the table."""
    found = {}
    for name, side in sides.items():
        if name == "native":
            for block in BLOCKS:
                found[row_of(block)] = Contender(side, "time_stream", {"block": block})
        else:
            found[name] = Contender(side, "time_render")
    return found


def row_of(block: int) -> str:
    """What the native player is called with blocks of a size."""
    return f"native {block}"


def check_outputs(sides: dict[str, Side], folder: Path) -> dict[str, float]:
    """Make sure that all sides play the same.

    Returns:
        Error-to-signal ratios from our torch net.

    Raises:
        SideError: one of them is above the tolerance.
    """
    played = {}
    for name, side in sides.items():
        path = folder / f"{name}.npy"
        if name == "native":
            side.ask("render_stream", block=64, path=str(path))
        else:
            side.ask("render", path=str(path))
        played[name] = np.load(path).astype(np.float64)
    wanted = played.pop("torch")
    errors = {name: float(np.sum((y - wanted) ** 2) / np.sum(wanted**2)) for name, y in played.items()}
    for name, error in errors.items():
        print(f"{name} plays as our torch net: ESR {error:.1e}", flush=True)
        if not error <= ESR_TOLERANCE:
            raise SideError(f"expected '{name}' to play as our torch net, but got an ESR of {error:.1e}")
    return errors


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """Set up, check and time all sides."""
    specs = [our_side("native", arguments.isa), our_side("torch", "off")]
    specs += [peer_side(arguments.peer)] if arguments.peer else []
    with running(specs, threads=1) as (started, folder):
        sides = {side.name: side for side in started}
        problems = set_up(sides, arguments, folder)
        sides = {name: side for name, side in sides.items() if name not in problems}
        for name, problem in problems.items():
            print(f"{name} does not play: {problem}", flush=True)
        errors = check_outputs(sides, folder)
        times = time_in_turn(contenders_of(sides), arguments.repeats)
    summaries = {row: taken.summary() for row, taken in times.items()}
    factors = {row: arguments.seconds / summary["cpu"]["median"] for row, summary in summaries.items()}
    return {
        "net": str(arguments.model or arguments.net),
        "seconds": arguments.seconds,
        "machine": describe_machine(),
        "esr": errors,
        "problems": problems,
        "runs": summaries,
        "realtime_factors": factors,
    }


def print_table(figures: dict[str, Any], recorded: Recorded | None) -> None:
    """Realtime factors of all rows, and the recorded ones."""
    print(f"{figures['net']}, one thread          x realtime    CPU ms per second of audio")
    for row, factor in figures["realtime_factors"].items():
        print(f"  {row:28s} {factor:10.1f}    {1e3 / factor:10.3f}")
    if recorded is not None:
        print("recorded on another machine (two shared x86-64 cores with AVX-512):")
        print(f"  {'engine, blocks of 64':28s} {recorded.engine:10.1f}")
        if recorded.torch is not None:
            print(f"  {'torch, whole signal':28s} {recorded.torch:10.1f}")


def ratios_of(figures: dict[str, Any], block: int, recorded: Recorded | None) -> dict[str, float]:
    """Our native player against torch, and what that means against the engine.

    Against the engine there is a figure only where both machines timed torch: how many times faster than
    torch we are here, over how many times faster the engine was there.
    """
    factors = figures["realtime_factors"]
    ratios = {}
    ours = factors.get(row_of(block))
    if ours is None:
        return {}
    for other in ("torch", "peer"):
        if other in factors:
            ratios[other] = ours / factors[other]
    if recorded is not None and recorded.torch is not None:
        reference = ratios.get("peer", ratios["torch"])
        ratios["engine_by_way_of_torch"] = reference / (recorded.engine / recorded.torch)
    return ratios


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--net", choices=MODELS, default="a1")
    what.add_argument("--model", type=Path, help="a .nam file")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the audio")
    parser.add_argument("--block", type=int, choices=BLOCKS, default=64, help="what the ratio is of")
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter that has the peer")
    parser.add_argument("--isa", default="auto", help="native kernels that the player may use")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Benchmark; the ratio to torch is the last line."""
    arguments = parse(argv)
    os.environ["NAM_LIKE_NATIVE"] = "off"
    recorded = None if arguments.model else RECORDED.get(arguments.net)
    try:
        figures = benchmark(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_table(figures, recorded)
    ratios = ratios_of(figures, arguments.block, recorded)
    if arguments.json:
        content = {**figures, "recorded": recorded and asdict(recorded), "ratios": ratios}
        arguments.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    if "engine_by_way_of_torch" in ratios:
        print(
            f"ratio to the engine, by way of torch on either machine: {ratios['engine_by_way_of_torch']:.2f}"
        )
    if ratios:
        print(f"ratio {ratios.get('peer', ratios['torch']):.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
