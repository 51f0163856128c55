"""Guided source separation: sources with directions of their own, whose activity is only roughly known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nam_like.config.component import component
from nam_like.models.enhancement.gss import MaskEstimatorGSS

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")


def scene(count: int = 200) -> tuple[Tensor, Tensor, Tensor]:
    """Two talkers before four microphones: the mixture, whose bin it is ``(2, F, N)``, when they may talk.

    Each bin belongs to one of them. In the middle both may talk, and only directions tell them apart.
    """
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(2, 4, 6, 1, dtype=torch.complex64, generator=generator)
    owner = torch.rand(6, count, generator=generator) < 0.5
    owner[:, : count // 4] = True
    owner[:, -count // 4 :] = False
    bins = torch.stack((owner, ~owner)).float()
    source = torch.randn(6, count, dtype=torch.complex64, generator=generator)
    mixture = (directions * bins[:, None] * source).sum(dim=0)
    mixture = mixture + 0.03 * torch.randn(4, 6, count, dtype=torch.complex64, generator=generator)
    activity = torch.ones(1, 2, count)
    activity[:, 1, : count // 4] = 0
    activity[:, 0, -count // 4 :] = 0
    return mixture[None], bins, activity


@pytest.mark.parametrize("scripted", [False, True])
def test_directions_tell_who_talks_where_activity_does_not(scripted: bool) -> None:
    net: Any = MaskEstimatorGSS(num_iterations=10)
    if scripted:
        net = torch.jit.script(net)
    mixture, bins, activity = scene()
    masks = net(mixture, torch.tensor([200]), activity)[0]
    torch.testing.assert_close(masks.sum(dim=0), torch.ones(6, 200), rtol=1e-5, atol=1e-5)
    right = ((masks[0] > 0.5) == bins[0].bool()).float()
    assert float(right.mean()) > 0.95
    assert float(right[:, 50:150].mean()) > 0.9
    assert not masks[1, :, :50].any()  # who may not talk has no mask


def test_what_is_behind_an_item_changes_nothing() -> None:
    net = MaskEstimatorGSS()
    mixture, _, activity = scene()
    x = torch.cat((mixture, mixture.flip(-1)))
    x[0, ..., 150:] = 0
    both = torch.cat((activity, activity.flip(-1)))
    together = net(x, torch.tensor([150, 200]), both)
    alone = net(x[:1, ..., :150], torch.tensor([150]), both[:1, :, :150])
    torch.testing.assert_close(together[:1, ..., :150], alone)
    assert not together[0, ..., 150:].any()


def test_the_order_of_the_microphones_does_not_matter() -> None:
    net = component("estimator", {"name": "MaskEstimatorGSS", "config": {"num_iterations": 5}}).build()
    mixture, _, activity = scene()
    one = net(mixture, torch.tensor([200]), activity)
    other = net(mixture[:, [2, 0, 3, 1]], torch.tensor([200]), activity)
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_refusals() -> None:
    x, frames = scene()[0], torch.tensor([200])
    net = MaskEstimatorGSS()
    for activity, message in (
        (None, "expected the activity of the sources"),
        (torch.ones(2, 2, 200), "Batch dimension mismatch"),
        (torch.ones(1, 2, 199), "Time dimension mismatch"),
        (torch.ones(1, 1, 200), "Expecting multiple outputs, got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            net(x, frames, activity)
    with pytest.raises(ValueError, match="Number of iterations must be positive, got 0"):
        MaskEstimatorGSS(num_iterations=0)
    with pytest.raises(ValueError, match="eps must be positive, got 0"):
        MaskEstimatorGSS(eps=0.0)
