"""Our side of a benchmark: ``python -m benchlib.ours``; ``$NAM_LIKE_NATIVE`` says what kernels it may use."""

from __future__ import annotations

import importlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from benchlib.worker import Answer, Build, ReadNam, Trainee, Worker, serve
from nam_like import __version__
from nam_like.config.netcheck import check_net
from nam_like.config.run import RunConfig, load_run
from nam_like.models.amp.from_nam import init_from_nam
from nam_like.train.prepare import build_task
from nam_like.train.recording import CudaGraphs
from nam_like.train.step_queue import StepProgram, StepQueue

PEAK_TRIES = 8


def run_config(model: dict[str, Any]) -> RunConfig:
    """The run that ``nam_full`` would make of a ``model.json``; the audio is never read."""
    data = {"common": {"x_path": "x.wav", "y_path": "y.wav"}, "train": {}, "validation": {}}
    with tempfile.TemporaryDirectory() as folder:
        paths: list[str] = []
        for name, content in (("data", data), ("model", model), ("learning", {})):
            paths.append(str(Path(folder) / f"{name}.json"))
            Path(paths[-1]).write_text(json.dumps(content), encoding="utf-8")
        return load_run(*paths)


def native_library() -> Any:
    """The module that finds the native kernels, or None in a version without them."""
    try:
        return importlib.import_module("nam_like.native.library")
    except ModuleNotFoundError:
        return None


def path_taken(net: Any = None, device: Any = "cpu") -> str:
    """Which kernels are in use (by a net, where one is given), in words."""
    if hasattr(net, "runs_on"):
        return str(net.runs_on(device))
    library = native_library()
    return "PyTorch" if library is None else str(library.status())


def check_isa() -> None:
    """Refuse to measure something else than what was asked for."""
    asked = os.environ.get("NAM_LIKE_NATIVE", "auto")
    if asked in ("auto", "off"):
        return
    module = native_library()
    library = None if module is None else module.load()
    if library is None or library.isa != asked:
        raise ValueError(f"expected {asked} kernels, but got {path_taken()}")


def build(model: dict[str, Any], device: torch.device) -> Trainee:
    """Our task and optimizer, as ``nam_full`` makes them."""
    check_isa()
    config = run_config(model)
    net = check_net(config)
    task = build_task(config, net).to(device)
    configured: Any = task.configure_optimizers()
    optimizer = configured["optimizer"] if isinstance(configured, dict) else configured
    # The task asks its trainer for the learning rate that it logs.
    task.trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    task.trainer.optimizers = [optimizer]
    return Trainee(
        net=net,
        loss=lambda batch: task.training_step(batch, 0),
        optimizer=optimizer,
        weights=net.export_weights,
        load=net.import_weights,
        about={"trainer": f"nam_like {__version__}", "path": path_taken(net, device)},
    )


class OurWorker(Worker):
    """Further writes `.nam` files, streams them, and knows the arithmetic peak of the machine.

    Args:
        build: makes the trainee.
        read_nam: makes a net of a `.nam` file's content.
    """

    def __init__(self, build: Build, read_nam: ReadNam) -> None:
        super().__init__(build, read_nam)
        self.player: Any = None
        self.queue: StepQueue | None = None

    def export(self, path: str) -> Answer:
        """Write the net as a `.nam` file."""
        from nam_like.export.nam import NamExporter

        net: Any = self._trainee().net.eval()
        NamExporter().write(net, Path(path), {})
        return {}

    def open_stream(self, path: str) -> Answer:
        """Make the native player of a `.nam` file; answers what plays it, or why nothing does."""
        from nam_like.export.player import load

        self.player = load(path)
        return {"path" if self.player.is_native else "problem": self.player.describe()}

    def render_stream(self, block: int, path: str) -> Answer:
        """Stream the audio in blocks, and write what comes out to an ``.npy`` file."""
        np.save(path, self._stream(block)())
        return {}

    def time_stream(self, block: int, runs: int) -> Answer:
        """Stream the audio in blocks; answers the wall and the CPU seconds of each run through all of it."""
        play = self._stream(block)
        return {"times": [self.timed(play) for _ in range(runs)]}

    def _stream(self, block: int) -> Callable[[], np.ndarray]:
        """A function that streams the audio in blocks into one array, which it returns."""
        x = self.audio.cpu().numpy()
        out = np.empty_like(x)
        parts = [slice(start, start + block) for start in range(0, len(x), block)]
        blocks = [(x[part], out[part]) for part in parts]
        player = self.player

        def play() -> np.ndarray:
            player.reset()
            for samples, heard in blocks:
                player.process_into(samples, heard)
            return out

        return play

    def time_launches(self, runs: int, steps: int) -> Answer:
        """Do launches of so many steps, on CUDA devices recorded; answers the seconds of a step of each."""
        queue = self._queue(steps)

        def launch() -> None:
            for _ in range(steps):
                queue.push(self._batch())
            queue.flush()

        times = [self.timed(launch) for _ in range(runs)]
        return {"times": [(wall / steps, cpu / steps) for wall, cpu in times]}

    def _queue(self, steps: int) -> StepQueue:
        """The queue of steps, as a training has it."""
        if self.queue is None or self.queue.size != steps:
            trainee = self._trainee()
            recorder = CudaGraphs() if self.device.type == "cuda" else None
            self.queue = StepQueue(StepProgram(trainee.loss, trainee.optimizer), steps, recorder)
        return self.queue

    def peak(self, threads: int) -> Answer:
        """FLOP/s of `threads` threads in float32, and how it was measured."""
        library = native_library()
        loaded = None if library is None else library.load()
        if loaded is not None and hasattr(library, "peak_flops"):
            # On a busy machine only the best of several tries is the peak.
            flops = max(float(library.peak_flops(threads)) for _ in range(PEAK_TRIES))
            return {"flops": flops, "how": f"FMA loop, {loaded.isa}"}
        torch.set_num_threads(threads)
        return {"flops": sgemm_flops(), "how": "sgemm"}


def sgemm_flops(size: int = 768, runs: int = 100) -> float:
    """FLOP/s of the best of several products of two square float32 matrices.

    Each takes milliseconds, so that on a busy machine one of them is left alone.
    """
    a, b = torch.rand(2, size, size)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        torch.mm(a, b)
        seconds.append(time.perf_counter() - start)
    return 2.0 * size**3 / min(seconds)


if __name__ == "__main__":
    serve(OurWorker(build, init_from_nam))
