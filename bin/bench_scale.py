#!/usr/bin/env python3
"""How the cost of a training step, and of rendering, grows with length, batch, channels and threads.

    python bin/bench_scale.py [--peer /path/to/peer/venv/bin/python] [--sweeps length batch …]
                              [--json FILE] [--plots docs/images]

The net is A1 standard, or A1 with other channels (its second array has half as many). Per sweep one quantity
varies, the others are those of the classic recipe: 16 items of 8192 samples, all cores, mean squared error,
Adam. Both sides (the peer, or our net on plain PyTorch where no peer is given) step in turn on the same net,
weights and batch; loss and gradient of the first step must agree. Rendering is on one thread: our streaming
player in blocks of ``--block`` samples against the other side's net, which plays the audio in one piece.

Times are medians of the wall clock. Sweeps that ``--json`` has from an earlier run and that are not measured
again stay there, and are plotted: so the benchmark can be run piece by piece (``--sweeps`` without names only
plots). The last line is the geometric mean of the ratios of all points measured.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench_render import make_audio
from bench_train import check_sides
from benchlib.flops import step_flops
from benchlib.machine import available_cores, describe_machine, make_batch
from benchlib.nets import Case, make_case, peer_model
from benchlib.sides import Contender, Side, SideError, our_side, peer_side, running, time_in_turn

from nam_like.config.component import component
from nam_like.errors import UserError

Json = dict[str, Any]
TRAINING = ("length", "batch", "channels", "threads")
RENDERING = ("render-length", "render-channels")
#: Seconds of a turn: short, for there are many points.
TURN = 0.1


@dataclass(frozen=True)
class Point:
    """One training step that is timed, or one rendering (`seconds`).

    Attributes:
        x: the value of what is varied.
        channels: of the first array.
        batch: items.
        ny: target samples per item.
        threads: of each side.
        seconds: length of the audio to render.
    """

    x: float
    channels: int
    batch: int
    ny: int
    threads: int
    seconds: float


def points_of(sweep: str, arguments: argparse.Namespace) -> Iterator[Point]:
    """The points of a sweep, the cheapest first."""
    base: Json = {
        "channels": arguments.base_channels,
        "batch": arguments.base_batch,
        "ny": arguments.base_length,
        "threads": arguments.base_threads,
        "seconds": arguments.base_seconds,
    }
    values, varied = {
        "length": (arguments.lengths, "ny"),
        "batch": (arguments.batches, "batch"),
        "channels": (arguments.channels, "channels"),
        "threads": (arguments.threads, "threads"),
        "render-length": (arguments.seconds, "seconds"),
        "render-channels": (arguments.channels, "channels"),
    }[sweep]
    for value in sorted(values):
        yield Point(x=value, **{**base, varied: value})


def case_of(point: Point) -> Case:
    """A1 with other channels: 16 and 8 are A1 standard, 12 and 6 A1 lite, 8 and 4 A1 feather."""
    case = make_case("a1", batch=point.batch, ny=point.ny)
    model = copy.deepcopy(case.model)
    first, second = model["net"]["config"]["layers_configs"]
    half = max(1, point.channels // 2)
    first["channels"], first["head"]["out_channels"] = point.channels, half
    second["input_size"], second["channels"] = point.channels, half
    return Case(f"A1 of {point.channels} channels", model, point.batch, point.ny)


def set_up(sides: list[Side], case: Case, threads: int) -> None:
    """Give every side the same net and weights: those of the last."""
    for side in sides:
        model = peer_model(case.model) if side.name == "peer" else case.model
        side.ask("setup", model=model, device="cpu", threads=threads, seed=0)
    weights = sides[-1].ask("weights")["weights"]
    for side in sides:
        if not side.ask("load", weights=weights)["loaded"]:
            raise SideError(f"expected the side '{side.name}' to load weights, but it cannot")


def time_step(sides: list[Side], point: Point, folder: Path, rounds: int) -> Json:
    """Seconds of a training step of each side."""
    case = case_of(point)
    net: Any = component("net", case.model["net"]).build()
    set_up(sides, case, point.threads)
    batch = folder / "batch.npz"
    make_batch(batch, case.batch, int(net.receptive_field), case.ny)
    for side in sides:
        side.ask("data", path=str(batch))
    check_sides(sides, steps=1, quiet=True)
    times = time_in_turn({side.name: Contender(side) for side in sides}, rounds, warm_up=0, turn=TURN)
    flops = step_flops(net, case.batch, case.ny)
    seconds = {name: statistics.median(taken.wall) for name, taken in times.items()}
    return {"seconds": seconds, "gflops": {name: flops / wall / 1e9 for name, wall in seconds.items()}}


def time_rendering(sides: list[Side], point: Point, folder: Path, rounds: int, block: int) -> Json:
    """Seconds in which each side renders the audio: ours streams it, the other plays it in one piece."""
    set_up(sides, case_of(point), threads=1)
    ours, *others = sides
    ours.ask("export", path=str(folder / "model.nam"))
    problem = ours.ask("open_stream", path=str(folder / "model.nam")).get("problem")
    if problem is not None:
        raise SideError(f"expected the native player to play the net, but: {problem}")
    make_audio(folder / "audio.npy", point.seconds)
    for side in sides:
        side.ask("hear", path=str(folder / "audio.npy"))
    contenders = {ours.name: Contender(ours, "time_stream", {"block": block})}
    contenders |= {side.name: Contender(side, "time_render") for side in others}
    times = time_in_turn(contenders, rounds, warm_up=0, turn=TURN)
    seconds = {name: statistics.median(taken.wall) for name, taken in times.items()}
    return {"seconds": seconds, "realtime": {name: point.seconds / wall for name, wall in seconds.items()}}


def measure(sweep: str, sides: list[Side], folder: Path, arguments: argparse.Namespace) -> list[Json]:
    """Time all points of a sweep and print them."""
    act: Callable[[list[Side], Point, Path], Json]
    if sweep in TRAINING:
        unit, rate = "GFLOP/s", "gflops"
        act = partial(time_step, rounds=arguments.rounds)
    else:
        unit, rate = "x realtime", "realtime"
        act = partial(time_rendering, rounds=arguments.rounds, block=arguments.block)
    print(f"{sweep}:", flush=True)
    measured = []
    for point in points_of(sweep, arguments):
        found = act(sides, point, folder)
        ours, other = (found["seconds"][side.name] for side in sides)
        words = [
            f"{name} {1e3 * wall:9.2f} ms ({found[rate][name]:6.1f} {unit})"
            for name, wall in found["seconds"].items()
        ]
        print(f"  {point.x:8g}   {'   '.join(words)}   ratio {other / ours:.2f}", flush=True)
        measured.append({"x": point.x, **found, "ratio": other / ours})
    return measured


def benchmark(arguments: argparse.Namespace) -> tuple[Json, float | None]:
    """Measure the sweeps.

    Returns:
        The figures, with those of earlier runs, and the geometric mean of the ratios measured now.
    """
    figures: Json = {"machine": describe_machine(), "sweeps": {}}
    if arguments.json and arguments.json.exists():
        figures["sweeps"] = json.loads(arguments.json.read_text(encoding="utf-8"))["sweeps"]
    if not arguments.sweeps:
        return figures, None
    most = max(arguments.base_threads, *arguments.threads)
    other = peer_side(arguments.peer) if arguments.peer else our_side("plain", "off")
    ratios = []
    with running([our_side("ours", arguments.isa), other], most) as (sides, folder):
        for sweep in arguments.sweeps:
            figures["sweeps"][sweep] = measure(sweep, sides, folder, arguments)
            ratios += [point["ratio"] for point in figures["sweeps"][sweep]]
            if arguments.json:  # what is measured is kept, whatever comes
                arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return figures, math.exp(statistics.fmean(map(math.log, ratios)))


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = available_cores()
    everything = (*TRAINING, *RENDERING)
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter that has the peer")
    parser.add_argument("--sweeps", nargs="*", choices=everything, default=everything)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 2048, 4096, 8192, 16_384])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--channels", type=int, nargs="+", default=[2, 4, 8, 12, 16, 24, 32])
    parser.add_argument("--threads", type=int, nargs="+", default=_thread_counts(cores))
    parser.add_argument("--seconds", type=float, nargs="+", default=[0.25, 1.0, 4.0, 16.0])
    parser.add_argument("--base-length", type=int, default=8192, help="where it does not vary")
    parser.add_argument("--base-batch", type=int, default=16)
    parser.add_argument("--base-channels", type=int, default=16)
    parser.add_argument("--base-threads", type=int, default=cores)
    parser.add_argument("--base-seconds", type=float, default=2.0)
    parser.add_argument("--block", type=int, default=1024, help="samples per block of our player")
    parser.add_argument("--isa", default="auto", help="native kernels that we may use")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side at each point")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write pictures here")
    return parser.parse_args(argv)


def _thread_counts(cores: int) -> list[int]:
    """1, 2, 4 … and all cores."""
    return sorted({cores, *(2**k for k in range(cores.bit_length()) if 2**k <= cores)})


def main(argv: list[str] | None = None) -> int:
    """Benchmark; the ratio is the last line."""
    arguments = parse(argv)
    os.environ["NAM_LIKE_NATIVE"] = "off"  # in this process nets are only counted
    try:
        figures, ratio = benchmark(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.plots:
        from benchlib.scale_plots import draw_all

        for path in draw_all(figures["sweeps"], arguments.plots):
            print(f"{path}: {path.stat().st_size / 1024:.0f} KB")
    if ratio is not None:
        print(f"ratio {ratio:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
