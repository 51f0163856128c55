"""Play a WAV through a .nam file, as the realtime plugins play it. Needs no PyTorch."""

from __future__ import annotations

import argparse

from nam_like.cli.console import DONE

EXAMPLES = """examples:
  nam_like render model.nam dry.wav wet.wav
  nam_like render slimmable.nam dry.wav wet.wav --slim 0.5"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", help="a .nam file")
    parser.add_argument("input", help="the dry audio (WAV, FLAC, OGG, MP3)")
    parser.add_argument("output", help="the file to write: WAV, 32-bit float, as long as the input")
    parser.add_argument(
        "--slim", type=float, metavar="0…1", help="size knob of slimmable models; 1 is full size"
    )
    parser.add_argument("--channel", type=int, help="which channel of a stereo input, counted from 0")
    parser.add_argument("--resample", action="store_true", help="convert the input to the model's rate")
    parser.add_argument("--fast-tanh", action="store_true", help="use the plugins' approximate tanh")


def run(arguments: argparse.Namespace) -> int:
    """Render and say how loud and how fast it was."""
    from nam_like.export.render import render_file

    result = render_file(
        arguments.model,
        arguments.input,
        arguments.output,
        arguments.slim,
        channel=arguments.channel,
        resample=arguments.resample,
        fast_tanh=arguments.fast_tanh,
    )
    print(
        f"{result.path}: {result.samples / result.sample_rate:.2f} s at {result.sample_rate} Hz, "
        f"peak {result.peak:.3f}, rendered {result.realtime_factor:.1f} times faster than realtime"
    )
    print(f"played by the {result.path_taken}")
    return DONE
