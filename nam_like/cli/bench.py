"""How fast a .nam file plays on this machine: one thread, blocks of 16 to 4096 samples. Needs no PyTorch."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from nam_like.cli.console import DONE
from nam_like.errors import UserError

if TYPE_CHECKING:
    from nam_like.export.player import Player

BLOCKS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
#: What a file that states no sample rate is played at (Hz).
ASSUMED_RATE = 48_000

EXAMPLES = """examples:
  nam_like bench model.nam
  nam_like bench slimmable.nam --slim 0 --seconds 5 --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("model", help="a .nam file")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="audio played per block size, in seconds (default: 1)"
    )
    parser.add_argument("--slim", type=float, metavar="0…1", help="size knob of slimmable models")
    parser.add_argument("--fast-tanh", action="store_true", help="use the plugins' approximate tanh")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    """Time all block sizes and print a table."""
    from nam_like.export.player import load

    if not 0.0 < arguments.seconds <= 600.0:
        raise UserError(f"expected `--seconds` to be above 0 and at most 600, but got {arguments.seconds:g}")
    player = load(arguments.model, slim=arguments.slim, fast_tanh=arguments.fast_tanh)
    rate = player.sample_rate or ASSUMED_RATE
    rows = measure(player, rate, arguments.seconds)
    if arguments.json:
        facts = {
            "model": arguments.model,
            "architecture": player.model.architecture,
            "sample_rate": rate,
            "fast_tanh": arguments.fast_tanh,
            "played_by": player.describe(),
            "blocks": rows,
        }
        print(json.dumps(facts))
        return DONE
    print(f"{arguments.model}: {player.model.architecture} at {rate:g} Hz, one thread")
    print("  block      lasts     median   slowest 1 %   x realtime")
    for row in rows:
        lasts = 1e3 * row["block"] / rate
        print(
            f"  {row['block']:5d} {lasts:7.3f} ms {row['median_ms']:7.3f} ms {row['slowest_ms']:10.3f} ms"
            f"   {row['realtime_factor']:10.1f}"
        )
    print(f"played by the {player.describe()}")
    return DONE


def measure(player: Player, rate: float, seconds: float) -> list[dict[str, Any]]:
    """Milliseconds per block and realtime factors of all block sizes, on noise of a quiet guitar's level.

    The factor is of the median block; of the slowest 1 % the quickest is shown, for they are what a listener
    would hear dropping out.
    """
    import numpy as np

    samples = max(round(seconds * rate), 2 * BLOCKS[-1])
    x = (0.1 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)
    rows = []
    for block in BLOCKS:
        player.reset()
        player.time_blocks(x[: 4 * block], block)  # caches are warm from here on
        taken = player.time_blocks(x, block)
        median = float(np.median(taken))
        rows.append(
            {
                "block": block,
                "median_ms": 1e3 * median,
                "slowest_ms": 1e3 * float(np.quantile(taken, 0.99)),
                "realtime_factor": block / rate / median,
            }
        )
    return rows
