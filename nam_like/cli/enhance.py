"""Enhance audio files with a net that was exported as TorchScript: any length, in overlapping blocks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nam_like.cli.file_report import conclude, count
from nam_like.errors import UserError

if TYPE_CHECKING:
    from nam_like.export.enhance import Enhanced, EnhancementModel, EnhanceOptions

EXAMPLES = """examples:
  nam_like enhance model.ts noisy.wav -o clean.wav
  nam_like enhance model.ts recordings/ more.flac -o enhanced/
  nam_like enhance causal.ts noisy.wav -o out/ --stream"""

#: Channels that mean every one by itself.
EACH = "each"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", help="a TorchScript file (.ts) of an enhancement run")
    parser.add_argument("inputs", nargs="+", metavar="input", help="noisy audio files, or folders of them")
    parser.add_argument(
        "-o", "--output", required=True, help="folder for the WAVs; for a single file also the .wav itself"
    )
    parser.add_argument(
        "--block", type=float, default=30.0, help="seconds that the net hears at a time (default: 30)"
    )
    parser.add_argument(
        "--overlap",
        type=float,
        default=1.0,
        help="seconds in which one block fades into the next (default: 1)",
    )
    parser.add_argument(
        "--stream",
        action="store_true",
        help="run a causal mask net as on a stream: no blocks, constant memory, the same as the whole file",
    )
    parser.add_argument(
        "--channels",
        metavar="N,N…|each",
        help="channels that the net hears together, counted from 0; each: every one by itself "
        "(default: all together)",
    )
    parser.add_argument(
        "--subtype",
        choices=("FLOAT", "PCM_24", "PCM_16"),
        default="FLOAT",
        help="how the WAVs store samples (default: FLOAT)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of nets that draw random numbers (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, … (default: auto)")
    parser.add_argument("--force", action="store_true", help="replace outputs that exist")
    parser.add_argument("--quiet", action="store_true", help="warnings and errors only")


def run(arguments: argparse.Namespace) -> int:
    """Enhance everything; say how fast it was, and which files could not be enhanced."""
    from nam_like.cli.file_plan import plan

    channels = _channels(arguments.channels)
    pairs = plan(arguments.inputs, arguments.output, force=arguments.force)
    from nam_like.startup import collector_resting, set_variables

    set_variables()
    with collector_resting():
        from nam_like.export.enhance import EnhanceOptions, load_model
        from nam_like.export.enhance.stream import needs_peak

    options = EnhanceOptions(
        block=arguments.block,
        overlap=min(arguments.overlap, arguments.block / 2) if arguments.stream else arguments.overlap,
        stream=arguments.stream,
        channels=channels,
        seed=arguments.seed,
        subtype=arguments.subtype,
    )
    model = load_model(arguments.model, arguments.device)
    if arguments.stream:
        needs_peak(model)  # it is better told before the first file
    if model.sample_rate is None and not arguments.quiet:
        print(f"{arguments.model}: does not say its sample rate; every file is played at its own")
    done, failed = _all(model, pairs, options, quiet=arguments.quiet)
    return conclude(
        [result.samples / result.sample_rate for result in done],
        sum(result.seconds for result in done),
        failed,
        verb="enhanced",
        quiet=arguments.quiet,
    )


def _all(
    model: EnhancementModel,
    pairs: list[tuple[Path, Path]],
    options: EnhanceOptions,
    *,
    quiet: bool,
) -> tuple[list[Enhanced], list[UserError]]:
    """Every file; what is wrong with one does not stop the others."""
    from nam_like.export.enhance import enhance_file

    done: list[Enhanced] = []
    failed: list[UserError] = []
    for number, (path, output) in enumerate(pairs, start=1):
        line = _Line(f"[{number}/{len(pairs)}] {path}", shown=not quiet and sys.stderr.isatty())
        try:
            result = enhance_file(model, path, output, options, line.progress)
        except UserError as error:
            failed.append(error)
            line.clear()
            if len(pairs) > 1:
                print(f"error: {error}", file=sys.stderr)
            continue
        line.clear()
        done.append(result)
        if not quiet:
            print(
                f"{result.path}: {result.samples / result.sample_rate:.2f} s at {result.sample_rate} Hz, "
                f"{count(result.channels, 'channel')}, peak {result.peak:.3f}, "
                f"{result.realtime_factor:.1f} times faster than realtime"
            )
    return done, failed


class _Line:
    """One line on a terminal that is written again and again."""

    def __init__(self, text: str, *, shown: bool) -> None:
        self._text = text
        self._shown = shown

    def progress(self, samples: int, total: int) -> None:
        """Show how much is done."""
        if self._shown:
            print(f"\r\x1b[K{self._text}: {100 * samples // total} %", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave an empty line behind."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _channels(text: str | None) -> tuple[int, ...] | Literal["each"] | None:
    """``"0,2"`` → ``(0, 2)``."""
    if text is None:
        return None
    if text == EACH:
        return "each"
    try:
        chosen = tuple(int(part) for part in text.split(","))
    except ValueError:
        chosen = ()
    if not chosen or min(chosen) < 0 or len(set(chosen)) != len(chosen):
        raise UserError(f"expected `--channels` as different numbers from 0 on (0,1) or each, but got {text}")
    return chosen
