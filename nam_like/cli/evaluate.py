"""Compare a .nam file with a recording of the gear: what the model misses. Needs no PyTorch."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math

from nam_like.cli.console import DONE

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
    from nam_like.export.compare import compare_files

    found = compare_files(
        arguments.model,
        arguments.x,
        arguments.y,
        slim=arguments.slim,
        channel=arguments.channel,
        start=arguments.start,
        stop=arguments.stop,
        delay=arguments.delay,
    )
    if arguments.json:
        print(json.dumps({"model": arguments.model, **dataclasses.asdict(found)}))
        return DONE
    print(f"{arguments.model} against {arguments.y}, {found.samples / found.sample_rate:.2f} s")
    print(f"  ESR                          {_shown(found.esr)}")
    print(f"  ESR with the plugins' tanh   {_shown(found.esr_fast_tanh)}")
    print(f"played by the {found.path_taken}")
    return DONE


def _shown(esr: float) -> str:
    return f"{esr:.5g}" + (f"  ({10 * math.log10(esr):.1f} dB)" if esr > 0 else "")
