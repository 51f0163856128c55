#!/usr/bin/env python3
"""Time one training step of a net: ours against the peer's (or against our own on plain PyTorch), in turn.

    python bin/bench_train.py --net a1 [--peer /path/to/peer/venv/bin/python] [--threads 2] [--isa auto]

A step is forward pass, loss, backward pass, optimizer step and zero_grad on one batch that is there already.
Each side has an interpreter of its own and the same net, weights, batch, loss and optimizer (Adam, each
trainer's own); before anything is timed, loss and gradient of the first step must agree. The last line is
the ratio of the medians of the wall times.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchlib.flops import step_flops
from benchlib.machine import available_cores, describe_machine, make_batch
from benchlib.nets import MODELS, Case, amount, make_case, peer_model
from benchlib.sides import Contender, Side, SideError, SideSpec, our_side, peer_side, running, time_in_turn

from nam_like.config.component import component
from nam_like.errors import UserError

#: Largest relative difference of the first step's loss, and of the norm of its gradient.
LOSS_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
CHECKED_STEPS = 2
ISAS = ("auto", "avx512", "avx2", "neon", "portable", "off")


@dataclass(frozen=True)
class Arithmetic:
    """What a step costs, and what the machine could do.

    Attributes:
        step: floating-point operations of a step.
        peak_thread: peak of one thread (FLOP/s).
        peak: peak of all threads of the benchmark (FLOP/s).
        how: how the peak was measured.
    """

    step: float
    peak_thread: float
    peak: float
    how: str


def build_net(case: Case) -> Any:
    """The case's net, of plain PyTorch: it is only counted."""
    return component("net", case.model["net"]).build()


def set_up(sides: list[Side], case: Case, batch: Path, arguments: argparse.Namespace) -> None:
    """Give every side the same net, weights and batch.

    The weights are those that the last side starts with: the peer's nets cannot all load weights.
    """
    for side in sides:
        model = peer_model(case.model) if side.name == "peer" else case.model
        answer = side.ask("setup", model=model, device=arguments.device, threads=arguments.threads, seed=0)
        side.ask("data", path=str(batch))
        described = ", ".join(f"{key} {value}" for key, value in answer["about"].items())
        print(f"{side.name:6s} {described}, {answer['parameters']} parameters", flush=True)
    weights = sides[-1].ask("weights")["weights"]
    for side in sides:  # the last one, too: an LSTM exports the state after some silence
        if not side.ask("load", weights=weights)["loaded"] and side is not sides[-1]:
            raise SideError(f"expected the side '{side.name}' to load weights, but it cannot")


def check_sides(
    sides: list[Side], steps: int = CHECKED_STEPS, *, quiet: bool = False
) -> list[dict[str, float]]:
    """Make sure that the sides compute the same: loss and gradient of the first steps.

    Args:
        sides: what is compared.
        steps: how many steps are done and compared.
        quiet: print nothing.

    Returns:
        Per step the relative differences of the sides' losses and gradient norms from the first side's.

    Raises:
        SideError: they differ in the first step, where only rounding may differ.
    """
    differences = []
    for step in range(steps):
        answers = {side.name: side.ask("check") for side in sides}
        first = answers[sides[0].name]
        worst = {
            key: max(abs(answer[key] - first[key]) for answer in answers.values()) / abs(first[key])
            for key in ("loss", "gradient_norm")
        }
        differences.append(worst)
        if not quiet:
            print(
                f"step {step + 1}: loss {first['loss']:.7g}, relative difference {worst['loss']:.1e}; "
                f"gradient norm {first['gradient_norm']:.6g}, difference {worst['gradient_norm']:.1e}",
                flush=True,
            )
        if step == 0 and not (
            worst["loss"] <= LOSS_TOLERANCE and worst["gradient_norm"] <= GRADIENT_TOLERANCE
        ):
            raise SideError(f"expected the sides to compute the same, but got {answers}")
    return differences


def measure_peak(isa: str, threads: int) -> tuple[float, float, str]:
    """Peak FLOP/s of one thread and of `threads`, and how they were measured.

    Nets on plain PyTorch are measured by what the machine could do, too.
    """
    with running([our_side("peak", "auto" if isa == "off" else isa)], threads) as ([side], _):
        one, every = side.ask("peak", threads=1), side.ask("peak", threads=threads)
    return one["flops"], every["flops"], every["how"]


def report(name: str, summary: dict[str, Any], arithmetic: Arithmetic) -> dict[str, Any]:
    """Print a side's times; returns them with the rates that they mean."""
    wall, cpu = summary["wall"], summary["cpu"]
    rate = arithmetic.step / wall["median"]
    print(
        f"{name:6s} wall {1e3 * wall['median']:8.2f} ms (min {1e3 * wall['min']:.2f})   "
        f"CPU {1e3 * cpu['median']:8.2f} ms (min {1e3 * cpu['min']:.2f})   {len(wall['all'])} steps   "
        f"{amount(rate / 1e9)} GFLOP/s, {100 * rate / arithmetic.peak:.1f} % of the peak"
    )
    return {**summary, "gflops": rate / 1e9, "percent_of_peak": 100 * rate / arithmetic.peak}


def specs_of(arguments: argparse.Namespace) -> list[SideSpec]:
    """The sides: ours first, then what it is compared with."""
    specs = [our_side("ours", arguments.isa)]
    if arguments.plain or not arguments.peer:
        specs.append(our_side("plain", "off"))
    if arguments.peer:
        specs.append(peer_side(arguments.peer))
    return specs


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", choices=MODELS, default="a1")
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter that has the peer")
    parser.add_argument("--plain", action="store_true", help="time our net on plain PyTorch, too")
    parser.add_argument("--threads", type=int, default=available_cores(), help="default: all cores")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--ny", type=int, help="target samples per item (default 8192, LSTM 32768)")
    parser.add_argument("--isa", choices=ISAS, default="auto", help="native kernels that we may use")
    parser.add_argument("--repeats", type=int, default=10, help="turns of each side")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--loss", choices=("mse", "preset"), default="mse")
    parser.add_argument("--json", type=Path, help="write the figures here")
    return parser.parse_args(argv)


def benchmark(arguments: argparse.Namespace) -> dict[str, Any]:
    """Set up, check, time and report all sides."""
    os.environ["NAM_LIKE_NATIVE"] = "off"  # in this process nets are only counted
    case = make_case(arguments.net, arguments.loss, arguments.batch, arguments.ny)
    net = build_net(case)
    nx = int(net.receptive_field)
    step = step_flops(net, case.batch, case.ny)
    peak_thread, peak, how = measure_peak(arguments.isa, arguments.threads)
    arithmetic = Arithmetic(step, peak_thread, peak, how)
    print(
        f"{case.name}: batch {case.batch} × {case.ny} samples, {arguments.loss} loss, {arguments.device}, "
        f"{amount(step / 1e9)} GFLOP a step"
    )
    print(
        f"peak: {peak_thread / 1e9:.0f} GFLOP/s with one thread, {peak / 1e9:.0f} with {arguments.threads} "
        f"({how})",
        flush=True,
    )
    with running(specs_of(arguments), arguments.threads) as (sides, folder):
        make_batch(folder / "batch.npz", case.batch, nx, case.ny)
        set_up(sides, case, folder / "batch.npz", arguments)
        differences = check_sides(sides)
        times = time_in_turn({side.name: Contender(side) for side in sides}, arguments.repeats)
    figures = {name: report(name, taken.summary(), arithmetic) for name, taken in times.items()}
    other = list(figures)[-1]
    ours, theirs = figures["ours"], figures[other]
    ratios = {kind: theirs[kind]["median"] / ours[kind]["median"] for kind in ("wall", "cpu")}
    settings = {key: getattr(arguments, key) for key in ("net", "threads", "isa", "device", "loss")}
    return {
        **settings,
        "batch": case.batch,
        "ny": case.ny,
        "machine": describe_machine(),
        "gflop_per_step": step / 1e9,
        "peak_gflops": {"one_thread": peak_thread / 1e9, "threads": peak / 1e9, "how": how},
        "first_steps": differences,
        "sides": figures,
        "against": other,
        "ratio": ratios["wall"],
        "ratio_cpu": ratios["cpu"],
    }


def main(argv: list[str] | None = None) -> int:
    """Benchmark; the ratio of wall times is the last line."""
    arguments = parse(argv)
    try:
        figures = benchmark(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    print(f"ratio of the CPU times, {figures['against']} / ours: {figures['ratio_cpu']:.2f}")
    print(f"ratio {figures['ratio']:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
