#!/usr/bin/env python3
"""How much memory a run takes, and how long it is until its first step, against the length of the recordings.

    python bin/bench_memory.py [--hours 0.1667 1 10] [--memory auto mapped] [--folder DIR] [--json FILE]

For each length two recordings (dry and wet, 48 kHz, 24 bits, RF64) are written block by block into a
temporary folder, a tiny net is trained on them for a few steps by `nam_full` in a process of its own, first
with the files out of the system's cache and nothing noted about them (cold), then again (warm), and the files
are removed. What is printed per run:

- peak: the most resident memory (`ru_maxrss`). Pages of mapped files count in it, though the system takes
  them back whenever it needs room.
- anonymous: the most memory that is no file's (`RssAnon` in /proc, looked at every few milliseconds).
- first step: from the start of the process to the end of the first training step: seconds, and seconds of
  processor time, which others on the machine do not lengthen.

The last line is the ratio of anonymous memory of the longest recordings to that of the shortest. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

RATE = 48_000
BYTES = 3
MIB = 1 << 20
SPARE = 2 << 30  # bytes of disk that are left to others
LOOK_EVERY = 0.005  # seconds

CALLBACK = '''
import time
from pathlib import Path

from pytorch_lightning.callbacks import Callback


class FirstStep(Callback):
    """Writes down when the first step was done."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def on_train_batch_end(self, *args) -> None:
        if not self.path.exists():
            self.path.write_text(f"{time.time()} {time.process_time()}")
'''


@dataclass
class Run:
    """One run of `nam_full`: memory in MiB, times in seconds."""

    hours: float
    memory: str
    cold: bool
    peak: float
    anonymous: float
    first_step: float
    first_step_cpu: float
    seconds: float


def write_recording(path: Path, seconds: int, block: bytes) -> None:
    """Write an RF64 file that repeats one second of samples."""
    size = seconds * len(block)
    with path.open("wb") as file:
        file.write(b"RF64" + b"\xff" * 4 + b"WAVE")
        file.write(b"ds64" + struct.pack("<IQQQI", 28, size + 72, size, seconds * RATE, 0))
        file.write(b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * BYTES, BYTES, 8 * BYTES))
        file.write(b"data" + b"\xff" * 4)
        for _ in range(seconds):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


def pcm24(samples: np.ndarray) -> bytes:
    """Samples in [−1, 1) as 24-bit integers."""
    integers = np.rint(samples * (1 << 23)).astype("<i4")
    return integers.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def forget(path: Path) -> None:
    """Put a file out of the system's cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def write_jsons(folder: Path, memory: str, steps: int) -> list[str]:
    """The three JSONs and the callback; returns their paths."""
    data = {
        "train": {"stop_seconds": -5.0, "ny": 8192},
        "validation": {"start_seconds": -5.0, "ny": None},
        "common": {"x_path": "x.wav", "y_path": "y.wav", "require_input_pre_silence": None},
        "memory": memory,
    }
    layer = {
        "input_size": 1, "condition_size": 1, "channels": 2, "kernel_size": 3,
        "dilations": [1, 2, 4, 8], "activation": "Tanh",
        "head": {"out_channels": 1, "kernel_size": 1, "bias": True},
    }  # fmt: skip
    model = {
        "net": {"name": "WaveNet", "config": {"layers_configs": [layer], "head_scale": 0.02}},
        "loss": {"terms": {"mse": {"name": "MSE"}}, "val_loss": "esr"},
        "optimizer": {"name": "Adam", "config": {"lr": 0.004}},
    }
    learning = {
        "train_dataloader": {"batch_size": 16, "shuffle": True, "drop_last": True},
        "trainer": {"accelerator": "cpu", "max_epochs": 1, "limit_train_batches": steps},
        "callbacks": [
            {"name": "bench_memory_callback.FirstStep", "config": {"path": str(folder / "first_step")}}
        ],
    }
    (folder / "bench_memory_callback.py").write_text(CALLBACK)
    paths = []
    for name, content in (("data", data), ("model", model), ("learning", learning)):
        (folder / f"{name}.json").write_text(json.dumps(content))
        paths.append(str(folder / f"{name}.json"))
    return paths


def anonymous_bytes(pid: int) -> int:
    """Resident memory of a process that is no file's; 0 once it has ended."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def measure(folder: Path, hours: float, memory: str, cold: bool, steps: int) -> Run:
    """Train once."""
    if cold:
        shutil.rmtree(folder / "cache", ignore_errors=True)
        for name in ("x.wav", "y.wav"):
            forget(folder / name)
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "first_step").unlink(missing_ok=True)
    command = [sys.executable, "-m", "nam_like.cli.full", *write_jsons(folder, memory, steps)]
    log = folder / "log.txt"
    started = time.time()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, str(folder / "out"), "--no-show", "--no-plots"],
            stdout=output,
            stderr=output,
            env={**os.environ, "NAM_LIKE_CACHE": str(folder / "cache")},
        )
        anonymous = 0
        while True:
            anonymous = max(anonymous, anonymous_bytes(process.pid))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(LOOK_EVERY)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.time() - started
    if process.returncode != 0:
        raise SystemExit(f"nam_full ended with {process.returncode}:\n{log.read_text()}")
    first, cpu = map(float, (folder / "first_step").read_text().split())
    return Run(hours, memory, cold, usage.ru_maxrss / 1024, anonymous / MIB, first - started, cpu, seconds)


def check_disk(folder: Path, hours: float) -> int:
    """Seconds of audio to write; ends the program where the disk has no room for them."""
    seconds = round(hours * 3600)
    needed = 2 * seconds * RATE * BYTES
    free = shutil.disk_usage(folder).free - SPARE
    if needed > free:
        raise SystemExit(
            f"expected {needed / 2**30:.1f} GiB of free disk space in {folder} for {hours:g} hours, "
            f"but got {max(free, 0) / 2**30:.1f} GiB (--folder names another place)"
        )
    return seconds


def main() -> int:
    """Run all lengths and print the table; the ratio is the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, nargs="+", default=[1 / 6, 1.0, 10.0])
    parser.add_argument("--memory", nargs="+", default=["auto"], choices=("auto", "resident", "mapped"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    x = 0.3 * np.sin(np.cumsum(rng.uniform(0.01, 0.1, RATE))) + 0.05 * rng.uniform(-1, 1, RATE)
    blocks = {"x.wav": pcm24(x), "y.wav": pcm24(0.8 * np.tanh(3.0 * x))}
    runs: list[Run] = []
    print("  hours  memory    files   peak MiB  anonymous MiB  first step s   CPU s  whole run s", flush=True)
    for hours in sorted(arguments.hours):
        with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="bench_memory_") as name:
            folder = Path(name)
            seconds = check_disk(folder, hours)
            for file, block in blocks.items():
                write_recording(folder / file, seconds, block)
            for memory in arguments.memory:
                for cold in (True, False):
                    run = measure(folder, hours, memory, cold, arguments.steps)
                    runs.append(run)
                    print(
                        f"{hours:7.3g}  {memory:8s}  {'cold' if cold else 'warm':5s}  {run.peak:9.0f}"
                        f"  {run.anonymous:13.0f}  {run.first_step:12.2f}"
                        f"  {run.first_step_cpu:6.2f}  {run.seconds:11.2f}",
                        flush=True,
                    )
    longest, shortest = (
        max(run.anonymous for run in runs if run.hours == hours)
        for hours in (max(arguments.hours), min(arguments.hours))
    )
    ratio = longest / shortest
    if arguments.json:
        figures = {"runs": [asdict(run) for run in runs], "ratio": ratio}
        arguments.json.write_text(json.dumps(figures, indent=1))
    print(
        f"ratio of anonymous memory, {max(arguments.hours):g} h : {min(arguments.hours):.3g} h: {ratio:.2f}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
