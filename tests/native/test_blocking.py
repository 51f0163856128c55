"""The register blocking of other instruction sets, on any processor.

Vector width and blocking are fixed when the kernels are compiled. A build with the numbers of AVX-512 or NEON
computes the same on any processor, only more slowly, so their loops, remainders and packed weights are tested
where no such processor is at hand. What this leaves untested are the few intrinsics in csrc/isa/vec.h.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nam_like.config.component import component
from nam_like.models.amp.wavenet import WaveNet, native
from nam_like.native import convnet, library, wavenet

COMPILER = shutil.which("g++") or shutil.which("c++")
CSRC = Path(library.__file__).parent / "csrc"
NETS = ("wavenet", "convnet")
SOURCES = ["dispatch", "memory", "threads", "wavenet_stages", "convnet_norm"]
SOURCES += [f"{net}_{part}" for net in NETS for part in ("api", "plan")]
KERNELS = ["peak", *(f"{net}_{part}" for net in NETS for part in ("pack", "forward", "backward"))]

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")


OTHERS = [
    pytest.param((16, 32), id="avx512"),
    pytest.param((4, 32), id="neon", marks=pytest.mark.slow),
    pytest.param((8, 16), id="avx2", marks=pytest.mark.slow),
]


@pytest.fixture(params=OTHERS, scope="module")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with the blocking of an instruction set."""
    width, registers = request.param
    made = tmp_path_factory.mktemp("built") / f"_kernels_{width}_{registers}.so"
    files = [CSRC / f"{name}.cpp" for name in SOURCES] + [CSRC / "isa" / f"{name}.cpp" for name in KERNELS]
    flags = ["-std=c++17", "-O1", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", "-w"]
    numbers = [
        "-DNAM_ISA=baseline",
        f"-DNAM_VECTOR_WIDTH={width}",
        f"-DNAM_VECTOR_REGISTERS={registers}",
    ]
    subprocess.run([str(COMPILER), *flags, *numbers, *map(str, files), "-o", str(made)], check=True)
    return made


@pytest.fixture
def other_build(built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """That library in the place of the installed one."""
    caches = (library._open, library._load, wavenet.plan, convnet.plan)
    monkeypatch.setattr(library, "__file__", str(built))
    monkeypatch.delenv(library.VARIABLE, raising=False)
    for cache in caches:
        cache.cache_clear()
    yield
    monkeypatch.undo()
    for cache in caches:
        cache.cache_clear()


def net_of(channels: int, kernel_size: int, activation: Any, bottleneck: int, head_kernel: int) -> WaveNet:
    array = {
        "input_size": 1,
        "condition_size": 1,
        "channels": channels,
        "bottleneck": bottleneck,
        "head": {"out_channels": 1, "kernel_size": head_kernel, "bias": True},
        "kernel_size": kernel_size,
        "dilations": [1, 7, 2],
        "activation": activation,
        "layer_1x1_config": {"active": True},
    }
    config = {"layers_configs": [array], "head_scale": 0.3}
    net = component("net", {"name": "WaveNet", "config": config}).build()
    assert isinstance(net, WaveNet)
    return net


GATED = {"name": "PairMultiply", "primary": "Tanh", "secondary": "Sigmoid"}


def test_other_blockings_give_the_gradients_of_pytorch(other_build: None) -> None:
    """All widths up to 25, so that every block of channels and every remainder is met."""
    torch.manual_seed(0)
    for channels in (*range(1, 19), 24, 25):
        kernel_size = 1 + channels % 5
        activation = GATED if channels % 3 == 0 else "Tanh"
        net = net_of(channels, kernel_size, activation, max(1, channels - channels % 4), 1 + channels % 3)
        x = torch.randn(2, net.receptive_field - 1 + 300 + channels)
        assert native.process(net, x[:, None], x[:, None]) is not None, native.report(net)
        check(net, x)


def test_other_blockings_give_the_gradients_of_pytorch_for_convnets(other_build: None) -> None:
    """Blocks and remainders of channels, and tiles that begin and end anywhere."""
    torch.manual_seed(0)
    for channels in (*range(1, 19), 24, 25):
        config = {"channels": channels, "dilations": [1, 7, 2], "batchnorm": channels % 3 > 0}
        net = component("net", {"name": "ConvNet", "config": config}).build()
        x = torch.randn(2, net.receptive_field - 1 + 300 + channels)
        assert net.runs_on() == library.status()
        check(net, x)


def check(net: Any, x: torch.Tensor) -> None:
    """Output and gradients are those of PyTorch."""
    outputs, gradients = [], []
    for choice in ("auto", "off"):
        with library.using(choice):
            y = net(x, pad_start=False)
            net.zero_grad()
            y.square().sum().backward()
            outputs.append(y.detach())
            gradients.append([p.grad.clone() for p in net.parameters() if p.grad is not None])
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5 * float(outputs[1].abs().max()))
    for found, expected in zip(*gradients, strict=True):
        scale = float(expected.abs().max()) + 1e-2 * float(outputs[1].abs().sum())
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * scale)
