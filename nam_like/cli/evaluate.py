"""Compare a .nam file with a recording of the gear: what the model misses. Needs no PyTorch."""

from __future__ import annotations

import argparse
import json
import math

from nam_like.cli.console import DONE
from nam_like.errors import UserError

EXAMPLES = """examples:
  nam_like eval model.nam dry.wav wet.wav
  nam_like eval model.nam dry.wav wet.wav --start 432000 --delay 12"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", help="a .nam file")
    parser.add_argument("x", help="what was played: the dry recording")
    parser.add_argument("y", help="what came back: the wet recording")
    parser.add_argument(
        "--start", type=int, default=0, metavar="N", help="first sample compared (default: 0)"
    )
    parser.add_argument(
        "--stop", type=int, metavar="N", help="sample after the last; negative counts from the end"
    )
    parser.add_argument(
        "--delay", type=int, default=0, metavar="N", help="samples by which y lags x (default: 0)"
    )
    parser.add_argument("--slim", type=float, metavar="0…1", help="size knob of slimmable models")
    parser.add_argument("--channel", type=int, help="which channel of stereo files, counted from 0")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Play the whole of x through the model and compare the chosen part with y."""
    import numpy as np

    from nam_like.audio.io import read_audio
    from nam_like.export.nam_read import load_nam

    model = load_nam(arguments.model, slim=arguments.slim)
    x = read_audio(arguments.x, channel=arguments.channel)
    y = read_audio(arguments.y, channel=arguments.channel, sample_rate=x.sample_rate)
    if model.sample_rate is not None and abs(model.sample_rate - x.sample_rate) > 0.5:
        raise UserError(
            f"{arguments.x}: expected the model's sample rate, {model.sample_rate:g} Hz, "
            f"but got {x.sample_rate} Hz"
        )
    delay = arguments.delay
    target = y.samples[max(0, delay) :].astype(np.float64)
    dry = x.samples[max(0, -delay) :]
    length = min(len(target), len(dry))
    part = slice(arguments.start, arguments.stop).indices(length)
    if part[1] <= part[0]:
        asked = f"{arguments.start} to {'the end' if arguments.stop is None else arguments.stop}"
        raise UserError(f"expected a part of the {length} samples, but got {asked}")
    chosen = slice(part[0], part[1])
    energy = float(np.sum(np.square(target[chosen])))
    if energy == 0.0:
        raise UserError(
            f"{arguments.y}: expected sound between samples {part[0]} and {part[1]}, but it is silent"
        )

    def esr(*, fast_tanh: bool) -> float:
        played = model.process(dry[: part[1]], fast_tanh=fast_tanh).astype(np.float64)
        return float(np.sum(np.square(played[chosen] - target[chosen]))) / energy

    facts = {
        "model": arguments.model,
        "samples": part[1] - part[0],
        "sample_rate": x.sample_rate,
        "esr": esr(fast_tanh=False),
        "esr_fast_tanh": esr(fast_tanh=True),
    }
    if arguments.json:
        print(json.dumps(facts))
        return DONE
    seconds = facts["samples"] / x.sample_rate
    print(f"{arguments.model} against {arguments.y}, {seconds:.2f} s")
    print(f"  ESR                          {_shown(facts['esr'])}")
    print(f"  ESR with the plugins' tanh   {_shown(facts['esr_fast_tanh'])}")
    return DONE


def _shown(esr: float) -> str:
    return f"{esr:.5g}" + (f"  ({10 * math.log10(esr):.1f} dB)" if esr > 0 else "")
