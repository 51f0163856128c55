"""Play audio through a .nam file, as the realtime plugins play it. Needs no PyTorch."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from nam_like.cli.console import DONE
from nam_like.cli.file_report import conclude, count
from nam_like.errors import UserError

if TYPE_CHECKING:
    from nam_like.cli.render_data import DataPlan
    from nam_like.export.nam_read import NamModel
    from nam_like.export.render import Dry, RenderResult

logger = logging.getLogger(__name__)

EXAMPLES = """examples:
  nam_like render model.nam dry.wav wet.wav
  nam_like render slimmable.nam dry.wav wet.wav --slim 0.5
  nam_like render model.nam recordings/ more.flac -o out/
  nam_like render large.nam data.json -o rendered/     (then train a small net on rendered/data.json)"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", help="a .nam file")
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="input",
        help="the dry audio (WAV, FLAC, OGG, MP3), then the file to write: WAV, 32-bit float, as long as the "
        "input; with -o: audio files and folders of them, or one data JSON, whose inputs are played",
    )
    parser.add_argument(
        "-o",
        "--output",
        help="folder for the WAVs, and for a data JSON that names them as recordings; for a single file also "
        "the .wav itself",
    )
    parser.add_argument(
        "--slim", type=float, metavar="0…1", help="size knob of slimmable models; 1 is full size"
    )
    parser.add_argument("--channel", type=int, help="which channel of a stereo input, counted from 0")
    parser.add_argument("--resample", action="store_true", help="convert the input to the model's rate")
    parser.add_argument("--fast-tanh", action="store_true", help="use the plugins' approximate tanh")
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="with -o: files played at a time; the results are the same (default: one per core)",
    )
    parser.add_argument("--force", action="store_true", help="with -o: replace outputs that exist")
    parser.add_argument("--quiet", action="store_true", help="warnings and errors only")


def run(arguments: argparse.Namespace) -> int:
    """Render and say how loud and how fast it was."""
    return _single(arguments) if arguments.output is None else _several(arguments)


def _single(arguments: argparse.Namespace) -> int:
    """One file into another."""
    if len(arguments.inputs) != 2 or Path(arguments.inputs[0]).is_dir() or _is_json(arguments.inputs[0]):
        raise UserError(
            "expected the dry audio and the .wav to write, or `-o` and a folder for the outputs, but got "
            f"{' '.join(arguments.inputs)}"
        )
    for option, given in (("--threads", arguments.threads is not None), ("--force", arguments.force)):
        if given:
            raise UserError(f"expected `-o` with `{option}`, but got {' '.join(arguments.inputs)}")
    from nam_like.export.render import render_file

    dry, wet = arguments.inputs
    result = render_file(
        arguments.model,
        dry,
        wet,
        arguments.slim,
        channel=arguments.channel,
        resample=arguments.resample,
        fast_tanh=arguments.fast_tanh,
    )
    if not arguments.quiet:
        print(_line(result))
        print(f"played by the {result.path_taken}")
    return DONE


def _several(arguments: argparse.Namespace) -> int:
    """Files and folders, or the inputs of a data JSON."""
    from nam_like.export.nam_read import load_nam

    data, pairs = None, []
    named = [name for name in arguments.inputs if _is_json(name)]
    if named:
        _check_data_options(arguments)
        model = load_nam(arguments.model, slim=arguments.slim)
        from nam_like.cli.render_data import plan_data

        output = Path(arguments.output)
        data = plan_data(Path(named[0]), output, model.sample_rate, force=arguments.force)
        pairs = data.pairs
    else:
        from nam_like.cli.file_plan import plan
        from nam_like.export.render import Dry

        files = plan(arguments.inputs, arguments.output, force=arguments.force)
        model = load_nam(arguments.model, slim=arguments.slim)
        convert = arguments.resample and model.sample_rate is not None
        rate = round(model.sample_rate or 0) if convert else None
        pairs = [(Dry(path, arguments.channel, rate), output) for path, output in files]
    started = time.perf_counter()
    done, failed = _all(model, pairs, arguments)
    seconds = time.perf_counter() - started
    if data is not None and not failed:
        _write_data(data, done, quiet=arguments.quiet)
    elif data is not None and done:
        failed.append(UserError(f"{data.target}: not written, because renderings are missing"))
    lengths = [result.samples / result.sample_rate for result in done]
    return conclude(lengths, seconds, failed, verb="rendered", quiet=arguments.quiet)


def _all(
    model: NamModel, pairs: Sequence[tuple[Dry, Path]], arguments: argparse.Namespace
) -> tuple[list[RenderResult], list[UserError]]:
    """Every file; what is wrong with one does not stop the others."""
    from nam_like.export.render_many import cores, render_many

    threads = cores() if arguments.threads is None else arguments.threads
    done: list[RenderResult] = []
    failed: list[UserError] = []
    with closing(render_many(model, pairs, threads=threads, fast_tanh=arguments.fast_tanh)) as results:
        for result in results:
            if isinstance(result, UserError):
                failed.append(result)
                continue
            done.append(result)
            if not arguments.quiet:
                print(_line(result), flush=True)
    if done and not arguments.quiet:
        print(f"played by the {done[0].path_taken}")
    return done, failed


def _check_data_options(arguments: argparse.Namespace) -> None:
    """Refuse what stands in the data JSON itself, and more than one of it."""
    if len(arguments.inputs) != 1:
        raise UserError(f"expected a data JSON alone, but got {' '.join(arguments.inputs)}")
    if arguments.channel is not None:
        raise UserError("expected `x_channel` in the data JSON to choose a channel, but got `--channel`")
    if arguments.resample:
        raise UserError(
            "expected `sample_rate` and `resample` in the data JSON to convert its recordings, but got "
            "`--resample`"
        )


def _write_data(data: DataPlan, done: Sequence[RenderResult], *, quiet: bool) -> None:
    """Write the data JSON that names the renderings."""
    from nam_like.files import write_json_atomic

    peak = max(result.peak for result in done)
    written, scale = data.data(peak), data.scale(peak)
    if scale is not None:
        logger.warning(
            "a rendering peaks at %.3f, and a recording that reaches full scale is refused: `y_scale` in %s "
            "is %g, and a net trained on it plays by so much softer",
            peak,
            data.target,
            scale,
        )
    try:
        write_json_atomic(data.target, written, indent=2)
    except OSError as error:
        raise UserError(f"{data.target}: cannot be written: {error.strerror or error}") from error
    if not quiet:
        splits = " and ".join(f"{len(members)} for {split}" for split, members in data.played.items())
        print(f"{data.target}: {count(len(done), 'rendering')}, {splits}")


def _line(result: RenderResult) -> str:
    """How long, how loud and how fast one file was."""
    return (
        f"{result.path}: {result.samples / result.sample_rate:.2f} s at {result.sample_rate} Hz, "
        f"peak {result.peak:.3f}, rendered {result.realtime_factor:.1f} times faster than realtime"
    )


def _is_json(name: str) -> bool:
    return name.lower().endswith(".json")
