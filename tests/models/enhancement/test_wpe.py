"""Dereverberation against nara_wpe, against a reverberation of known taps, and padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nam_like.config.component import component
from nam_like.models.enhancement.wpe import MaskBasedDereverbWPE

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def reverberant(count: int = 400) -> tuple[Tensor, Tensor]:
    """A source with pauses, dry and after a recursive filter of two late taps: ``(1, C, F, N)`` both."""
    dry = noise(1, 2, 5, count)
    dry = dry * (torch.arange(count) // 25 % 2 + 0.05)
    wet = dry.clone()
    for n in range(6, count):
        wet[..., n] += 0.5 * wet[..., n - 4] - 0.3j * wet[..., n - 6].flip(1)
    return dry, wet


@pytest.mark.parametrize("iterations", [1, 3])
def test_without_masks_it_is_nara_wpe(iterations: int) -> None:
    wpe: Any = pytest.importorskip("nara_wpe.wpe")
    _, wet = reverberant()
    net = MaskBasedDereverbWPE(
        filter_length=5, prediction_delay=3, num_iterations=iterations, diag_reg=0.0, eps=1e-10
    )
    found = net(wet, torch.tensor([400]))[0].numpy()
    wanted = wpe.wpe_v8(wet[0].transpose(0, 1).numpy(), taps=5, delay=3, iterations=iterations)
    np.testing.assert_allclose(found, wanted.transpose(1, 0, 2), atol=1e-8)


def test_what_the_past_predicts_is_taken_away() -> None:
    dry, wet = reverberant()
    net = MaskBasedDereverbWPE(filter_length=4, prediction_delay=3, num_iterations=3)
    found = net(wet, torch.tensor([400]), torch.ones(1, 1, 5, 400))
    before, after = ((x - dry)[..., 10:].abs().square().mean() for x in (wet, found))
    assert float(after) < 0.05 * float(before)


def test_a_mask_of_the_dry_power_does_better_at_once() -> None:
    dry, wet = reverberant()
    net = MaskBasedDereverbWPE(filter_length=4, prediction_delay=3)
    frames = torch.tensor([400])
    guided = net(wet, frames, (dry.abs() / wet.abs()).clamp(max=1.0))
    alone = net(wet, frames)
    assert float((guided - dry).abs().mean()) < 0.7 * float((alone - dry).abs().mean())


@pytest.mark.parametrize("masks", [1, 2])
@pytest.mark.parametrize("scripted", [False, True])
def test_padding_changes_nothing(masks: int, scripted: bool) -> None:
    net: Any = MaskBasedDereverbWPE(filter_length=3, prediction_delay=2, num_iterations=2)
    if scripted:
        net = torch.jit.script(net)
    x = noise(2, 2, 40, 30)
    x[0, ..., 22:] = 0  # what an encoder leaves behind the valid frames
    mask = torch.rand(2, masks, 40, 30, generator=torch.Generator().manual_seed(1))
    together = net(x, torch.tensor([22, 30]), mask)
    alone = net(x[:1, ..., :22], torch.tensor([22]), mask[:1, ..., :22])
    torch.testing.assert_close(together[:1, ..., :22], alone)
    assert not together[0, ..., 22:].any()
    assert together.dtype == x.dtype


def test_silence_stays_silent() -> None:
    x = noise(1, 2, 3, 30)
    x[:, :, 1] = 0
    found = MaskBasedDereverbWPE(filter_length=3, prediction_delay=2)(x, torch.tensor([30]))
    assert not found[:, :, 1].any()
    assert torch.isfinite(torch.view_as_real(found)).all()


def test_it_is_built_from_json_and_trains_the_mask() -> None:
    net = component(
        "mask_processor",
        {"name": "MaskBasedDereverbWPE", "config": {"filter_length": 3, "prediction_delay": 2}},
    ).build()
    mask = torch.full((1, 1, 4, 30), 0.5, requires_grad=True)
    x = noise(1, 2, 4, 30).to(torch.complex64)
    made = net(x, torch.tensor([30]), mask * torch.linspace(0.5, 1.0, 30))
    assert made.dtype == torch.complex64
    made.abs().square().sum().backward()
    assert mask.grad is not None
    assert torch.isfinite(mask.grad).all()
    assert mask.grad.abs().max() > 0


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"Lower bound for the mask 0.0dB"):
        MaskBasedDereverbWPE(filter_length=3, prediction_delay=2, mask_min_db=0.0)
    net = MaskBasedDereverbWPE(filter_length=3, prediction_delay=2)
    with pytest.raises(ValueError, match="expected 1 mask or 2, one per channel, but got 3"):
        net(noise(1, 2, 4, 30), torch.tensor([30]), torch.ones(1, 3, 4, 30))
