#!/usr/bin/env python3
"""Time enhancement nets: ours against a straightforward PyTorch version of the same net, in turn.

    python bin/bench_enhancement.py --net mask_rnn --what train [--threads 1 2] [--json FILE]

Both nets have the weights of the preset and hear the same batch of coloured noise. Before anything is timed,
outputs must agree to 1e-4 of their peak, and for training all gradients to 1e-3 of the largest. A training
step is forward pass, mean squared error of the waveforms, backward pass, optimizer step and zero_grad; the
optimizer is Adam, ours as a run builds it and PyTorch's default on the other side. Inference is the forward
pass. With ``--padded`` the items of the batch have several lengths. The last line is the ratio of the medians
of the wall times with the last number of threads.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchlib.machine import available_cores, describe_machine

from nam_like.config import jsonc, references
from nam_like.config.component import Component, component
from nam_like.native import library
from nam_like.presets import configs_dir
from nam_like.startup import set_variables

set_variables()  # as all commands do, before PyTorch is imported; for both sides

import torch  # noqa: E402
from benchlib.plain_enhancement import plain_net  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from nam_like.optim.build import build_optimizer  # noqa: E402

Json = dict[str, Any]
RATE = 16000  # Hz
#: Items, and seconds of each.
SHAPES = {"mask_rnn": (4, 2.0), "ncsnpp_small": (4, 2.0), "ncsnpp": (1, 0.5)}
OUTPUT_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
#: Seconds that other threads spin after a run; nobody is timed meanwhile.
SETTLE = 0.02


def make_nets(name: str) -> tuple[nn.Module, nn.Module]:
    """Our net and the plain one, with the same weights."""
    text = jsonc.read_text(configs_dir() / "model" / "enhancement" / f"{name}.json")
    model, problems = references.resolve({"model": jsonc.loads(text)})
    if problems:
        raise SystemExit(f"the preset {name} has references to nothing: {problems}")
    net = model["model"]["net"]
    torch.manual_seed(0)
    ours: nn.Module = component("net", net).build()
    with torch.no_grad():
        for parameter in ours.parameters():  # some begin so small that an output would prove nothing
            if parameter.ndim == 4:
                nn.init.xavier_uniform_(parameter)
    return ours, plain_net(net["config"], copy.deepcopy(ours.state_dict()))


def make_batch(name: str, *, padded: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Audio, target and lengths."""
    items, seconds = SHAPES[name]
    samples = int(seconds * RATE)
    white = torch.randn(items, 1, samples + 1, generator=torch.Generator().manual_seed(0))
    audio = 0.2 * (white[..., 1:] + 0.9 * white[..., :-1])
    lengths = torch.full((items,), samples)
    if padded:
        lengths = lengths - torch.arange(items) * samples // (2 * items)
        audio = audio * (torch.arange(samples) < lengths[:, None, None])
    return audio, 0.5 * torch.tanh(2.0 * audio), lengths


class Side:
    """A net, and what is timed of it."""

    def __init__(
        self, net: nn.Module, batch: tuple[Tensor, Tensor, Tensor], what: str, *, ours: bool
    ) -> None:
        self.net = net.train(what == "train")
        self.audio, self.target, self.lengths = batch
        self.what = what
        adam = {"name": "Adam", "config": {"lr": 1e-4}}
        parameters = list(net.parameters())
        self.optimizer = (
            build_optimizer(optimizer_of(adam), parameters) if ours else torch.optim.Adam(parameters, lr=1e-4)
        )

    def gradients(self) -> dict[str, Tensor]:
        """Of the loss with respect to all weights."""
        self.net.zero_grad()
        self.loss().backward()  # type: ignore[no-untyped-call]
        found = {
            key: weight.grad.clone() for key, weight in self.net.named_parameters() if weight.grad is not None
        }
        self.net.zero_grad()
        return found

    def loss(self) -> Tensor:
        """Mean squared error of the waveforms."""
        return nn.functional.mse_loss(self.net(self.audio, self.lengths), self.target)

    def run(self) -> None:
        """What is timed."""
        if self.what == "infer":
            with torch.inference_mode():
                self.net(self.audio, self.lengths)
            return
        self.loss().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()


def optimizer_of(config: Json) -> Component:
    """The component of an optimizer."""
    return component("optimizer", config)


def check(ours: Side, plain: Side) -> Json:
    """Make sure that both compute the same; returns differences, relative to the largest values."""
    with torch.no_grad():
        mine, theirs = (side.net(side.audio, side.lengths) for side in (ours, plain))
    found = {"output": difference(mine, theirs)}
    if ours.what == "train":
        mine_all, theirs_all = ours.gradients(), plain.gradients()
        largest = max(float(gradient.abs().max()) for gradient in theirs_all.values())
        found["gradient"] = max(
            float((mine_all[key] - gradient).abs().max()) / largest for key, gradient in theirs_all.items()
        )
    limits = {"output": OUTPUT_TOLERANCE, "gradient": GRADIENT_TOLERANCE}
    for key, value in found.items():
        if not value <= limits[key]:
            raise SystemExit(
                f"expected the {key} of both nets to agree to {limits[key]:g}, but got {value:g}"
            )
    return found


def difference(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float((a - b).abs().max() / b.abs().max())


def in_turn(sides: dict[str, Callable[[], None]], turns: int, seconds: float) -> dict[str, list[float]]:
    """Wall seconds of each run; a turn is as many runs as fill `seconds`."""
    runs: dict[str, int] = {}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for name, run in sides.items():
        run()
        start = time.perf_counter()
        run()
        runs[name] = max(1, math.ceil(seconds / (time.perf_counter() - start)))
    for _ in range(turns):
        for name, run in sides.items():
            time.sleep(SETTLE)
            for _ in range(runs[name]):
                start = time.perf_counter()
                run()
                times[name].append(time.perf_counter() - start)
    return times


def measure(arguments: argparse.Namespace) -> Json:
    """Check, and time with each number of threads."""
    batch = make_batch(arguments.net, padded=arguments.padded)
    nets = dict(zip(("ours", "plain"), make_nets(arguments.net), strict=True))
    sides = {name: Side(net, batch, arguments.what, ours=name == "ours") for name, net in nets.items()}
    differences = check(sides["ours"], sides["plain"])
    print(f"{arguments.net} {arguments.what}, {tuple(batch[0].shape)} samples; {library.status()}")
    print("largest differences: " + ", ".join(f"{key} {value:.1e}" for key, value in differences.items()))
    by_threads = {}
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        times = in_turn({name: side.run for name, side in sides.items()}, arguments.turns, arguments.seconds)
        medians = {name: statistics.median(taken) for name, taken in times.items()}
        for name, taken in times.items():
            print(
                f"{threads} threads  {name:6s} median {1e3 * medians[name]:9.2f} ms   "
                f"min {1e3 * min(taken):9.2f}   {len(taken)} runs",
                flush=True,
            )
        ratio = medians["plain"] / medians["ours"]
        by_threads[threads] = {"seconds": times, "medians": medians, "ratio": ratio}
        print(f"{threads} threads  ratio {ratio:.2f}", flush=True)
    return {"differences": differences, "threads": by_threads}


def main(argv: list[str] | None = None) -> int:
    """Benchmark; the ratio is the last line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", choices=SHAPES, default="mask_rnn")
    parser.add_argument("--what", choices=("train", "infer"), default="train")
    parser.add_argument("--padded", action="store_true", help="items of several lengths")
    threads = sorted({1, available_cores()})
    parser.add_argument("--threads", type=int, nargs="+", default=threads, help="default: one, and all cores")
    parser.add_argument("--turns", type=int, default=5, help="of each side")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn, at least one run")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    figures = measure(arguments)
    if arguments.json:
        settings = {key: getattr(arguments, key) for key in ("net", "what", "padded")}
        written = {**settings, "machine": describe_machine(), "native": library.status(), **figures}
        arguments.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    print(f"ratio {figures['threads'][arguments.threads[-1]]['ratio']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
