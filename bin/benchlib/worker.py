"""The far end of a side: trains a net in an interpreter of its own and answers requests with timings.

Requests and answers are JSON, one per line, on standard input and output. This file and ``peer.py`` know
nothing of nam_like, so that they run in an interpreter which does not have it.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Answer = dict[str, Any]


@dataclass
class Trainee:
    """A net and everything that one training step of it needs.

    Attributes:
        net: the net.
        loss: the trainer's own training step, from a batch ``(x (B, nx + ny − 1), y (B, ny))`` to the loss.
        optimizer: the trainer's own optimizer.
        weights: reads the weights, in the order of a `.nam` file.
        load: puts such weights in; raises NotImplementedError where the trainer cannot.
        about: what runs, for the report.
    """

    net: nn.Module
    loss: Callable[[tuple[Tensor, Tensor]], Tensor]
    optimizer: Optimizer
    weights: Callable[[], np.ndarray]
    load: Callable[[np.ndarray], object]
    about: dict[str, str]


#: Makes a trainee of ``model.json``'s content, on a device.
Build = Callable[[dict[str, Any], torch.device], Trainee]
#: Makes a net of a `.nam` file's content.
ReadNam = Callable[[dict[str, Any]], nn.Module]


class Worker:
    """Answers requests about one net: trains it, or plays audio through it; see the methods.

    Args:
        build: makes the trainee.
        read_nam: makes a net of a `.nam` file's content.
    """

    def __init__(self, build: Build, read_nam: ReadNam) -> None:
        self.build, self.read_nam = build, read_nam
        self.net: nn.Module | None = None
        self.device = torch.device("cpu")
        self.batch: tuple[Tensor, Tensor] | None = None
        self.trainee: Trainee | None = None
        self.audio = torch.zeros(0)

    def setup(self, model: dict[str, Any], device: str, threads: int, seed: int) -> Answer:
        """Make the trainee; answers what it is."""
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.device = torch.device(device)
        self.trainee = self.build(model, self.device)
        self.net = self.trainee.net.train()
        about = {"python": platform.python_version(), "torch": torch.__version__, **self.trainee.about}
        parameters = sum(parameter.numel() for parameter in self.trainee.net.parameters())
        return {"about": about, "parameters": parameters}

    def weights(self) -> Answer:
        """The weights, in the order of a `.nam` file."""
        return {"weights": [float(weight) for weight in self._trainee().weights()]}

    def load(self, weights: list[float]) -> Answer:
        """Put weights in; answers whether the trainer could."""
        try:
            self._trainee().load(np.asarray(weights, dtype=np.float32))
        except NotImplementedError:
            return {"loaded": False}
        return {"loaded": True}

    def data(self, path: str) -> Answer:
        """Take the batch from an ``.npz`` of `x` and `y`."""
        with np.load(path) as file:
            x, y = (torch.from_numpy(file[name]).to(self.device) for name in ("x", "y"))
        self.batch = (x, y)
        return {}

    def check(self) -> Answer:
        """One step; answers its loss and the norm of its gradient.

        The linear output layer of an LSTM is left out of the norm: the peer's learns from the burn-in, too.
        """
        trainee = self._trainee()
        loss = trainee.loss(self._batch())
        loss.backward()  # type: ignore[no-untyped-call]
        squares = sum(
            float(parameter.grad.double().square().sum())
            for module in trainee.net.modules()
            for parameter in module.parameters(recurse=False)
            if parameter.grad is not None and not isinstance(module, nn.Linear)
        )
        trainee.optimizer.step()
        trainee.optimizer.zero_grad()
        return {"loss": float(loss.detach()), "gradient_norm": squares**0.5}

    def time(self, runs: int) -> Answer:
        """Do steps; answers the wall and the CPU seconds of each, the CPU time of all threads together."""
        return {"times": [self.timed(self._step) for _ in range(runs)]}

    def timed(self, act: Callable[[], object]) -> tuple[float, float]:
        """Wall and CPU seconds of something."""
        self._finish_device()
        wall, cpu = time.perf_counter(), time.process_time()
        act()
        self._finish_device()
        return time.perf_counter() - wall, time.process_time() - cpu

    # -- playing -----------------------------------------------------------------------------------

    def open_net(self, path: str) -> Answer:
        """Make the net of a `.nam` file, which can be played only; answers why it cannot be read."""
        torch.set_num_threads(1)
        try:
            self.net = self.read_nam(json.loads(Path(path).read_text(encoding="utf-8")))
        except Exception as error:  # any, since the peer's reader does not know all files
            return {"problem": f"the file cannot be read: {type(error).__name__}: {error}"}
        return {}

    def hear(self, path: str) -> Answer:
        """Take the audio ``(L,)`` of an ``.npy`` file."""
        self.audio = torch.from_numpy(np.load(path)).to(self.device)
        return {}

    def render(self, path: str) -> Answer:
        """Play the audio in one piece, and write what comes out to an ``.npy`` file."""
        np.save(path, self._play().cpu().numpy())
        return {}

    def time_render(self, runs: int) -> Answer:
        """Play the audio in one piece; answers the wall and the CPU seconds of each run."""
        return {"times": [self.timed(self._play) for _ in range(runs)]}

    @torch.no_grad()
    def _play(self) -> Tensor:
        if self.net is None:
            raise ValueError("expected `setup` or `open_net` first")
        played: Tensor = self.net.eval()(self.audio[None], pad_start=True)[0]
        return played

    # -- details -----------------------------------------------------------------------------------

    def _step(self) -> None:
        """Forward, loss, backward, optimizer step, zero_grad: what a trainer does with a batch."""
        trainee = self._trainee()
        trainee.loss(self._batch()).backward()  # type: ignore[no-untyped-call]
        trainee.optimizer.step()
        trainee.optimizer.zero_grad()

    def _finish_device(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _trainee(self) -> Trainee:
        if self.trainee is None:
            raise ValueError("expected `setup` first")
        return self.trainee

    def _batch(self) -> tuple[Tensor, Tensor]:
        if self.batch is None:
            raise ValueError("expected `data` first")
        return self.batch


def serve(worker: Any) -> None:
    """Answer requests ``{"do": method, …arguments}`` until standard input ends.

    Whatever else writes to standard output (libraries do) goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        method = request.pop("do")
        try:
            answer = getattr(worker, method)(**request)
        except Exception as error:  # the other end reports it
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
