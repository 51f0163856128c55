"""Maps at half and at twice their size: output and gradient against PyTorch in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nam_like.models.enhancement.lengths import mask_frames
from nam_like.native import library, resize

LOADED = library.load()
pytestmark = pytest.mark.skipif(LOADED is None, reason="no native kernels here")
SETS = [] if LOADED is None else library.available(LOADED)


def doubled(x: Tensor, valid: Tensor | None) -> Tensor:
    y = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return y if valid is None else mask_frames(y, valid)


def compare(found: Tensor, expected: Tensor, single: Tensor, exact: Tensor) -> None:
    """Outputs, and gradients of a random projection."""
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (expected * weight).sum().backward()
    (found * weight.float()).sum().backward()
    assert single.grad is not None
    assert exact.grad is not None
    torch.testing.assert_close(single.grad.double(), exact.grad, rtol=0, atol=2e-6)


@pytest.mark.parametrize("isa", SETS)
@settings(max_examples=30, deadline=None)
@given(
    size=st.tuples(*(st.integers(1, top) for top in (3, 4, 9, 40))),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
def test_output_and_gradient(isa: str, size: tuple[int, int, int, int], masked: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    batch, channels, height, width = size
    with library.using(isa):
        exact = torch.randn(size, generator=generator, dtype=torch.float64, requires_grad=True)
        single = exact.detach().float().requires_grad_()
        valid = torch.randint(0, 2 * width + 3, (batch,), generator=generator) if masked else None
        compare(resize.double(single, valid), doubled(exact, valid), single, exact)
        large = (batch, channels, 2 * height, 2 * width)
        exact = torch.randn(large, generator=generator, dtype=torch.float64, requires_grad=True)
        single = exact.detach().float().requires_grad_()
        compare(resize.halve(single), F.avg_pool2d(exact, 2), single, exact)
