"""The kernels compile to machine code of real GPUs; the interpreter does not see types.

What the launches hand over is recorded and compiled, so that signatures, flags and blocking are the real
ones.
"""

import importlib.util
import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest
import torch
from nets import OPTIONS, array
from torch import nn

from nam_like.models.amp.wavenet import WaveNet, native
from nam_like.models.blocks.activations import PairMultiply
from nam_like.native.gpu import available, blocking, wavenet

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None, reason="triton is not installed (extra: nam_like[gpu])"
    ),
    pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="Triton interprets here"),
]
KERNELS = (
    "layer_forward",
    "layer_backward",
    "convolve",
    "convolve_back",
    "correlate_layer",
    "correlate_conv",
)


class Recorder:
    """Stands in for a kernel: keeps the arguments of its launches, and computes nothing."""

    def __init__(self, kernel, launches):
        self.kernel, self.launches = kernel, launches

    def __getitem__(self, grid):
        assert all(isinstance(size, int) and size > 0 for size in grid)
        assert grid[1] <= 65535
        assert len(grid) < 3 or grid[2] <= 65535
        return self.launch

    def launch(self, *args, num_warps, **constants):
        named = dict(zip(self.kernel.arg_names, args, strict=False))
        assert len(args) + len(constants) == len(self.kernel.arg_names)
        unknown = {
            self.kernel.arg_names[i] if isinstance(i, int) else i for i in self.kernel.do_not_specialize
        }
        signature, attributes = {}, {}
        for index, name in enumerate(self.kernel.arg_names):
            if name in constants:
                signature[name] = "constexpr"
                continue
            value = named[name]
            signature[name] = "*fp32" if isinstance(value, torch.Tensor) else "i32"
            if isinstance(value, torch.Tensor) or (name not in unknown and value % 16 == 0):
                attributes[(index,)] = [["tt.divisibility", 16]]
        key = (self.kernel.__name__, repr(signature), repr(attributes), repr(constants), num_warps)
        self.launches[key] = (self.kernel, signature, attributes, constants, num_warps)


def launches_of(net, monkeypatch, length=300):
    """All different kernels that a forward and backward pass of a net needs."""
    from nam_like.native.gpu import launch

    recorded = {}
    with monkeypatch.context() as patch:
        for name in KERNELS:
            patch.setattr(launch, name, Recorder(getattr(launch, name), recorded))
        described = native.describe(net)
        x = torch.zeros(2, 1, net.receptive_field + length, requires_grad=True)
        weights = [weight() for weight in described.weights]
        head = wavenet.process(
            described.arrays, x, x if net.layer_arrays()[0].condition_size else None, weights
        )
        assert head is not None
        head.sum().backward()
    return list(recorded.values())


def compile_kernel(kernel, signature, attributes, constants, num_warps, capability):
    """Registers per thread, and bytes of registers that did not fit and went to memory."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.backends.nvidia import compiler
    from triton.compiler import ASTSource

    names = kernel.arg_names
    source = ASTSource(
        kernel, signature, constexprs={(names.index(n),): v for n, v in constants.items()}, attrs=attributes
    )
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": num_warps})
    tool = Path(compiler.__file__).parent / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        told = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True)
    registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", told.stdout).groups()
    return int(registers), int(stack)


def compile_net(net, monkeypatch, capability):
    launches = launches_of(net, monkeypatch)
    assert {launch[0].__name__ for launch in launches} == set(KERNELS)
    return {
        f"{kernel.__name__} {constants}": compile_kernel(
            kernel, signature, attributes, constants, warps, capability
        )
        for kernel, signature, attributes, constants, warps in launches
    }


def test_a_small_net_compiles_without_spilling(monkeypatch):
    used = compile_net(WaveNet([array(kernel_sizes=[3], dilations=[2])]), monkeypatch, 90)
    assert all(stack == 0 for _, stack in used.values()), used


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("name", OPTIONS)
def test_all_options_compile(name, capability, monkeypatch):
    assert compile_net(WaveNet(OPTIONS[name]()), monkeypatch, capability)


@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_the_standard_net_hardly_spills(capability, monkeypatch):
    def layers(**options):
        return array(kernel_sizes=[3, 3], dilations=[1, 512], **options)

    net = WaveNet([layers(channels=16, head_size=8), layers(input_size=16, channels=8, head_bias=True)])
    used = compile_net(net, monkeypatch, capability)
    assert all(stack <= 256 for _, stack in used.values()), used
    back = [registers for name, (registers, _) in used.items() if name.startswith("convolve_back")]
    assert max(back) <= 160  # three programs fit on a multiprocessor


@pytest.mark.slow
def test_the_widest_gate_compiles(monkeypatch):
    net = WaveNet([array(channels=32, activation=lambda: PairMultiply(nn.Tanh(), nn.Sigmoid()))])
    assert compile_net(net, monkeypatch, 90)


def test_kernels_only_take_what_they_cover(monkeypatch):
    monkeypatch.setattr(available, "_probe", lambda device, interpreter: "")
    cuda = torch.device("cuda")
    covered = native.describe(WaveNet([array()])).arrays
    assert wavenet.obstacle(covered, 1, cuda) == ""
    assert "no kernels for cpu" in wavenet.obstacle(covered, 1, torch.device("cpu"))
    wide = native.describe(WaveNet([array(channels=33)])).arrays
    assert wavenet.obstacle(wide, 1, cuda) == "it has 33 channels, more than 32"
    learned = native.describe(WaveNet([array(activation=nn.PReLU)])).arrays
    assert wavenet.obstacle(learned, 1, cuda) == "its activation is PReLU"
    monkeypatch.setenv("NAM_LIKE_NATIVE", "off")
    assert wavenet.obstacle(covered, 1, cuda) == "NAM_LIKE_NATIVE is off"


def test_a_missing_triton_has_a_reason(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    available._probe.cache_clear()
    try:
        assert "nam_like[gpu]" in available.why_not(torch.device("cuda"))
    finally:
        available._probe.cache_clear()


def test_what_does_not_work_is_told_in_one_line(monkeypatch):
    available._probe.cache_clear()

    def broken(device):
        raise RuntimeError("no C compiler\nand more")

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr("nam_like.native.gpu.kernels.probe.works", broken)
    try:
        reason = available.why_not(torch.device("cuda"))
        assert reason == "triton does not work here (RuntimeError: no C compiler)"
    finally:
        available._probe.cache_clear()


def test_programs_are_powers_of_two():
    for lanes in (1, 2, 4, 8, 16, 32, 64):
        tile = blocking.tile(lanes)
        assert tile & (tile - 1) == 0
        assert tile >= 32 * blocking.WARPS
    for rows in (1, 4, 16, 64):
        group = blocking.channel_group(rows, 12)
        assert group & (group - 1) == 0
    assert [blocking.unroll(channels) for channels in (1, 3, 8, 24, 32, 64)] == [1, 3, 8, 12, 16, 16]
