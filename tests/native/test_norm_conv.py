"""Group norm, SiLU and convolution of maps: output and all gradients against float64 autograd."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nam_like.models.enhancement.lengths import mask_frames
from nam_like.native import library
from nam_like.native.norm_conv import Layer, norm_conv, obstacle

LOADED = library.load()
pytestmark = pytest.mark.skipif(LOADED is None, reason="no native kernels here")
SETS = [] if LOADED is None else library.available(LOADED)


def make(
    batch: int, inputs: int, outputs: int, groups: int, size: tuple[int, int], *, skip: bool, seed: int = 0
) -> dict[str, Tensor]:
    """Maps and weights in float64; the mean is not small against the deviation."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    made = {
        "x": 3.0 + random(batch, inputs, *size),
        "gamma": 1.0 + 0.3 * random(inputs),
        "beta": random(inputs),
        "weight": random(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5,
        "bias": random(batch, outputs),
    }
    if skip:
        made["skip"] = random(batch, outputs, *size)
    return made


def plain(given: dict[str, Tensor], groups: int, scale: float, valid: Tensor | None) -> Tensor:
    """The formula."""
    a = F.silu(F.group_norm(given["x"], groups, given["gamma"], given["beta"], eps=1e-6))
    z = F.conv2d(a, given["weight"], padding=1) + given["bias"][:, :, None, None]
    y = scale * (z + given.get("skip", torch.zeros(())))
    return y if valid is None else mask_frames(y, valid)


def native(given: dict[str, Tensor], groups: int, scale: float, valid: Tensor | None) -> Tensor:
    """The kernels."""
    assert obstacle(*given.values()) == ""
    weights = (given[key] for key in ("gamma", "beta", "weight", "bias"))
    return norm_conv(given["x"], Layer(groups, 1e-6, *weights), given.get("skip"), scale, valid)


def compare(numbers: dict[str, Tensor], groups: int, scale: float = 1.0, valid: Tensor | None = None) -> None:
    """Output and gradients of a random projection of it."""
    exact = {key: value.clone().requires_grad_() for key, value in numbers.items()}
    single = {key: value.float().requires_grad_() for key, value in numbers.items()}
    expected, found = plain(exact, groups, scale, valid), native(single, groups, scale, valid)
    projection = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (expected * projection).sum().backward()
    (found * projection.float()).sum().backward()
    close("y", found, expected, 1e-5)
    for key, value in exact.items():
        close(key, single[key].grad, value.grad, 2e-5)


def close(name: str, found: Tensor | None, expected: Tensor | None, tolerance: float) -> None:
    assert found is not None
    assert expected is not None
    found, expected = found.detach().double(), expected.detach()
    largest = float(expected.abs().max())
    error = float((found - expected).abs().max())
    assert error <= tolerance * max(largest, 1e-3), f"{name}: {error:g} of {largest:g}"


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize(
    ("channels", "size"),
    [
        ((8, 8, 2), (16, 16)),
        ((8, 16, 2), (13, 37)),  # rows that are no whole group, columns that are no whole vector
        ((16, 4, 4), (4, 1)),
        ((3, 5, 1), (1, 5)),
        ((70, 66, 1), (9, 11)),  # more outputs than one task has
        ((4, 4, 1), (6, 3000)),  # several tiles side by side
        ((12, 12, 3), (130, 20)),
    ],
)
def test_output_and_gradients(isa: str, channels: tuple[int, int, int], size: tuple[int, int]) -> None:
    inputs, outputs, groups = channels
    with library.using(isa):
        compare(make(2, inputs, outputs, groups, size, skip=False), groups)
        valid = torch.tensor([size[1], size[1] // 2])
        compare(make(2, inputs, outputs, groups, size, skip=True), groups, 0.7, valid)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 3),
    st.tuples(st.integers(1, 30), st.integers(8, 70)),
    st.booleans(),
)
def test_random_shapes(
    batch: int, per_group: int, outputs: int, groups: int, size: tuple[int, int], skip: bool
) -> None:
    compare(make(batch, per_group * groups, outputs, groups, size, skip=skip), groups, 1.3)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    numbers = make(3, 8, 12, 2, (33, 50), skip=True)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            leaves = {key: value.float().requires_grad_() for key, value in numbers.items()}
            made = native(leaves, 2, 0.5, torch.tensor([50, 20, 1]))
            made.square().sum().backward()
            results.append([made, *(leaf.grad for leaf in leaves.values())])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_not_a_number_is_noticed() -> None:
    numbers = {key: value.float() for key, value in make(1, 4, 4, 1, (8, 8), skip=False).items()}
    numbers["x"][0, 1, 2, 3] = float("nan")
    assert torch.isnan(native(numbers, 1, 1.0, None)).any()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda t: t.double(), "float64"),
        (lambda t: t.to("meta"), "on meta"),
        (lambda t: t[:0], "empty"),
    ],
)
def test_obstacles(change: Any, why: str) -> None:
    x = torch.zeros(1, 4, 2, 2)
    assert obstacle(x) == ""
    assert why in obstacle(x, change(x))
    with library.using("off"):
        assert "off" in obstacle(x)
