"""Write the capture signal: play it through your gear, record what comes back, and train on the two files."""

from __future__ import annotations

import argparse
import json

from nam_like.cli.console import DONE, table

EXAMPLES = """examples:
  nam_like signal dry.wav                    2.4 minutes at 48 kHz, 24 bit
  nam_like signal dry.wav --length short     25 seconds, for demonstrations"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("output", help="the file to write (.wav or .flac, 24 bit)")
    parser.add_argument("--rate", type=int, default=48000, metavar="HZ", help="sample rate (default: 48000)")
    parser.add_argument("--length", choices=("full", "short"), default="full", help="default: full")
    parser.add_argument("--json", action="store_true", help="print sections and regions as one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Write the file and print its table of contents."""
    from nam_like.audio.capture_signal import capture_signal, split_for
    from nam_like.audio.io import write_audio

    signal = capture_signal(arguments.rate, length=arguments.length)
    write_audio(arguments.output, signal.samples, signal.sample_rate)
    split = split_for(signal)
    if arguments.json:
        sections = [vars(section) for section in signal.sections]
        print(json.dumps({"path": arguments.output, "sections": sections, "blips": signal.blips, **split}))
        return DONE
    seconds = len(signal.samples) / signal.sample_rate
    print(f"{arguments.output}: {seconds:.1f} s at {signal.sample_rate} Hz")
    print(table([(f"{section.start}", section.name, section.description) for section in signal.sections]))
    print("for data.json:")
    for name, region in split.items():
        print(f'  "{name}": {json.dumps(region)}')
    return DONE
