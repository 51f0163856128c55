"""What every net must hold to; each test of a net calls :func:`check_net`."""

from __future__ import annotations

import copy
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nam_like.export.nam import NamExporter
from nam_like.models.amp.from_nam import init_from_nam
from nam_like.models.base import Net

BATCH = 2


def randomise(net: Net, seed: int = 0, size: float = 0.4) -> Net:
    """Weights that make every part of the net audible."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) * size)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.uniform_(-0.3, 0.3, generator=generator)
                module.running_var.uniform_(0.5, 1.5, generator=generator)
    return net


def noise(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Audio between −1 and 1."""
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype) - 1


def knobs_for(net: Net, knobs: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    """One setting of the knobs per item, ``(BATCH, K)``, for nets with knobs."""
    return (noise(BATCH, knobs, seed=2, dtype=dtype),) if net.num_conditions else ()


def check_net(net: Net, tmp_path: Path, *, knobs: int = 0, tight: bool = True) -> None:
    """Hold a net to the contract of :class:`nam_like.models.base.Net`.

    Args:
        net: a net with weights of an audible size.
        tmp_path: for exported files.
        knobs: K of nets with knobs.
        tight: whether the receptive field is the smallest possible one, and every part of the net is audible.
    """
    net.eval()
    check_shapes(net, knobs)
    if not has_memory(net):
        check_receptive_field(net, knobs, tight)
    check_causality(net, knobs, tight)
    check_padding(net, knobs)
    check_determinism(net, knobs)
    check_state_dict(net, knobs, tight)
    check_scaling(net, knobs)
    check_training(net, knobs, tight)
    check_tracing(net, knobs)
    check_nam(net, tmp_path)


def has_memory(net: Net) -> bool:
    """Whether the net is recurrent."""
    return any(isinstance(module, nn.RNNBase) for module in net.modules())


def check_shapes(net: Net, knobs: int) -> None:
    field, length = net.receptive_field, net.receptive_field + 40
    conditions = knobs_for(net, knobs)
    with torch.no_grad():
        x = noise(BATCH, length)
        assert net(x, *conditions, pad_start=True).shape == (BATCH, length)
        assert net(x, *conditions, pad_start=False).shape == (BATCH, length - field + 1)
        assert net(x[:, :field], *conditions, pad_start=False).shape == (BATCH, 1)
        assert net(x[:, :1], *conditions, pad_start=True).shape == (BATCH, 1)
        single = net(x[0], *(c[:1] for c in conditions), pad_start=True)
        assert single.shape == (length,)
        torch.testing.assert_close(single, net(x, *conditions, pad_start=True)[0], atol=1e-5, rtol=1e-4)
        if field > 1:
            with pytest.raises(ValueError, match=f"expected at least {field} input samples"):
                net(x[:, : field - 1], *conditions, pad_start=False)
        with pytest.raises(ValueError, match=r"expected audio of shape"):
            net(x[None], *conditions, pad_start=False)


def check_receptive_field(net: Net, knobs: int, tight: bool) -> None:
    """Measured by how far back the gradient of one output reaches."""
    double, length = copy.deepcopy(net).double(), net.receptive_field + 9
    reach = torch.zeros(length, dtype=torch.float64)
    for seed in range(4):
        x = noise(BATCH, length, seed=seed, dtype=torch.float64).requires_grad_()
        double(x, *knobs_for(net, knobs, torch.float64), pad_start=False)[:, -1].sum().backward()
        reach += x.grad.abs().sum(0)
    measured = max((length - int(index) for index in torch.nonzero(reach)), default=0)
    assert measured == net.receptive_field if tight else measured <= net.receptive_field


def check_causality(net: Net, knobs: int, tight: bool) -> None:
    double, length = copy.deepcopy(net).double(), net.receptive_field + 30
    x = noise(BATCH, length, dtype=torch.float64)
    other, cut = x.clone(), length - 11
    other[:, cut:] = noise(BATCH, 11, seed=9, dtype=torch.float64)
    with torch.no_grad():
        first, second = (double(signal, *knobs_for(net, knobs, torch.float64)) for signal in (x, other))
    torch.testing.assert_close(first[:, :cut], second[:, :cut], atol=1e-13, rtol=0)
    assert not tight or not torch.equal(first[:, cut:], second[:, cut:])


def check_padding(net: Net, knobs: int) -> None:
    """Padding is silence before the input."""
    x = noise(BATCH, net.receptive_field + 20)
    silence = torch.zeros(BATCH, net.receptive_field - 1)
    conditions = knobs_for(net, knobs)
    with torch.no_grad():
        padded = net(x, *conditions, pad_start=True)
        by_hand = net(torch.cat([silence, x], dim=1), *conditions, pad_start=False)
    assert torch.equal(padded, by_hand)


def check_determinism(net: Net, knobs: int) -> None:
    x, conditions = noise(BATCH, net.receptive_field + 20), knobs_for(net, knobs)
    with torch.no_grad():
        assert torch.equal(net(x, *conditions), net(x, *conditions))


def check_state_dict(net: Net, knobs: int, tight: bool) -> None:
    x, conditions = noise(BATCH, net.receptive_field + 20), knobs_for(net, knobs)
    other = randomise(copy.deepcopy(net), seed=5)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    with torch.no_grad():
        assert not tight or not torch.equal(other(x, *conditions), net(x, *conditions))
        other.load_state_dict(torch.load(file))
        assert torch.equal(other(x, *conditions), net(x, *conditions))


def check_scaling(net: Net, knobs: int) -> None:
    x, conditions = noise(BATCH, net.receptive_field + 20), knobs_for(net, knobs)
    half, odd = copy.deepcopy(net), copy.deepcopy(net)
    half.scale_output(0.5)
    odd.scale_output(-0.37)
    with torch.no_grad():
        wanted = net(x, *conditions)
        assert torch.equal(half(x, *conditions), 0.5 * wanted)
        torch.testing.assert_close(odd(x, *conditions), -0.37 * wanted, atol=1e-6, rtol=1e-5)


def check_training(net: Net, knobs: int, tight: bool) -> None:
    """A step is possible, and its gradients are finite."""
    trained = copy.deepcopy(net).train()
    x = noise(BATCH, net.receptive_field + 40)
    before = copy.deepcopy(trained.state_dict())
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
    trained(x, *knobs_for(net, knobs), pad_start=False).square().mean().backward()
    gradients = [p.grad for p in trained.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    optimizer.step()
    assert not tight or any(
        not torch.equal(before[key], value) for key, value in trained.state_dict().items()
    )


def check_tracing(net: Net, knobs: int) -> None:
    """A graph traced at one length plays at others."""

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor, *conditions: Tensor) -> Tensor:
            return self.net(x, *conditions, pad_start=True)

    conditions = knobs_for(net, knobs)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        # torch's own LSTM compares sizes while it is traced; ours must not.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning, module=r"torch\.nn")
        example = (noise(BATCH, net.receptive_field + 37, seed=3), *conditions)
        traced = torch.jit.trace(Padded(), example, check_trace=False)
        for length in (5, 2 * net.receptive_field + 11):
            x = noise(BATCH, length, seed=4)
            torch.testing.assert_close(
                traced(x, *conditions), net(x, *conditions, pad_start=True), atol=1e-6, rtol=1e-5
            )


def check_nam(net: Net, tmp_path: Path) -> None:
    """An exported file plays as the net, and reads back as a net with the same weights that plays alike."""
    exporter = NamExporter()
    if "nam" not in net.exports or exporter.obstacles(net):
        return
    path = tmp_path / "model.nam"
    exporter.write(net, path, {})
    audio = noise(1, net.receptive_field + 400, seed=6)
    exporter.verify(net, path, audio[0].numpy())
    read = init_from_nam(path).eval()
    with torch.no_grad():
        wanted = net(audio, *net.export_conditions(), pad_start=True)
        limit = 1e-5 * max(1.0, float(wanted.abs().max()))
        torch.testing.assert_close(read(audio, pad_start=True), wanted, atol=limit, rtol=0)
    assert np.array_equal(read.export_weights(), net.export_weights())
