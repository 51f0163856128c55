#!/usr/bin/env python3
"""How long a command takes to say its help: ours against the peer's, in turn, medians and a ratio.

    python bin/bench_startup.py --peer /path/to/peer/venv/bin/nam-full [--runs 11] [--json FILE]

Without ``--peer`` only our own times are printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path


def seconds(command: list[str]) -> float:
    """Wall time of one run of `command`, its output thrown away."""
    start = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> int:
    """Run both sides in turn and print medians; the ratio is the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", help="the peer's nam-full script")
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()

    sides = {
        "nam_full --help": [sys.executable, "-m", "nam_like.cli.full", "--help"],
        "nam_like list": [sys.executable, "-m", "nam_like", "list"],
    }
    if arguments.peer:
        sides["peer --help"] = [arguments.peer, "--help"]
    times: dict[str, list[float]] = {name: [] for name in sides}
    for command in sides.values():
        seconds(command)  # warm the file cache
    for _ in range(arguments.runs):
        for name, command in sides.items():
            times[name].append(seconds(command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        print(f"{name:18s} median {medians[name]:.3f} s   min {min(values):.3f}   max {max(values):.3f}")
    ratio = medians["peer --help"] / medians["nam_full --help"] if arguments.peer else None
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"seconds": times, "medians": medians, "ratio": ratio}, indent=1)
        )
    if ratio is not None:
        print(f"ratio peer / ours: {ratio:.1f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
