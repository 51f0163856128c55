"""Play a WAV through a simulated circuit: gear to capture when there is none at hand. Needs no PyTorch."""

from __future__ import annotations

import argparse
import math

from nam_like.cli.console import DONE
from nam_like.errors import UserError

EXAMPLES = """examples:
  nam_like simulate dry.wav wet.wav --device amp
  nam_like simulate dry.wav wet.wav --device pedal --knob drive=0.8 --knob tone=0.4"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("input", help="the dry audio; full scale is 1 V at the device's input")
    parser.add_argument("output", help="the file to write (.wav or .flac, 24 bit), as long as the input")
    parser.add_argument("--device", default="amp", help="pedal, amp or pedal_amp (default: amp)")
    parser.add_argument(
        "--knob",
        dest="knobs",
        action="append",
        default=[],
        metavar="NAME=0…1",
        help="position of a knob (amp: gain, bass, middle, treble, volume; pedal: drive, tone, level)",
    )
    parser.add_argument("--channel", type=int, help="which channel of a stereo input, counted from 0")


def run(arguments: argparse.Namespace) -> int:
    """Simulate, write, and say how loud the result is."""
    knobs = dict(_knob(text) for text in arguments.knobs)
    import numpy as np

    from nam_like.audio.circuits.device import OVERSAMPLING, simulate
    from nam_like.audio.io import read_audio, write_audio

    dry = read_audio(arguments.input, channel=arguments.channel)
    wet = simulate(dry.samples, dry.sample_rate, arguments.device, oversampling=OVERSAMPLING, **knobs)
    write_audio(arguments.output, wet, dry.sample_rate)
    peak = float(np.max(np.abs(wet)))
    level = f"{20 * math.log10(peak):.1f} dBFS" if peak > 0 else "silent"
    print(
        f"{arguments.output}: {len(wet) / dry.sample_rate:.1f} s through the {arguments.device}, peak {level}"
    )
    return DONE


def _knob(text: str) -> tuple[str, float]:
    """``"gain=0.7"`` → ``("gain", 0.7)``."""
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise UserError(f"expected a knob as NAME=VALUE with a number, but got '{text}'") from None
