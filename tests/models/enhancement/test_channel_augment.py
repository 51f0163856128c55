"""Random channels in training: which, how many, how often, and never otherwise."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from nam_like.config.component import component
from nam_like.models.enhancement.channel_augment import ChannelAugment

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")

#: Channel c of item b holds the number 10 b + c.
AUDIO = (10 * torch.arange(2.0)[:, None] + torch.arange(4.0)[None]).unsqueeze(-1).expand(-1, -1, 5)


def drawn(augment: Any, times: int) -> list[tuple[int, ...]]:
    torch.manual_seed(0)
    found = []
    for _ in range(times):
        made = augment(AUDIO)
        chosen = tuple(int(value) for value in made[0, :, 0])
        assert torch.equal(made, AUDIO[:, list(chosen)])  # the same channels of every item
        found.append(chosen)
    return found


@pytest.mark.parametrize("scripted", [False, True])
def test_every_number_and_order_comes_alike_often(scripted: bool) -> None:
    augment: Any = ChannelAugment(num_channels_min=2, num_channels_max=3)
    if scripted:
        augment = torch.jit.script(augment)
    found = drawn(augment, 2000)
    sizes = Counter(len(chosen) for chosen in found)
    assert set(sizes) == {2, 3}
    assert abs(sizes[2] - 1000) < 100  # over four standard deviations
    pairs = Counter(chosen for chosen in found if len(chosen) == 2)
    assert len(pairs) == 12
    assert all(len(set(chosen)) == len(chosen) for chosen in found)
    first = Counter(chosen[0] for chosen in found)
    assert all(abs(first[c] - 500) < 90 for c in range(4))


def test_without_permutation_the_first_ones_are_taken() -> None:
    found = set(drawn(ChannelAugment(permute_channels=False), 100))
    assert found == {tuple(range(n)) for n in (1, 2, 3, 4)}
    assert {len(c) for c in drawn(ChannelAugment(num_channels_min=3, num_channels_max=9), 100)} == {3, 4}


def test_outside_of_training_nothing_happens() -> None:
    assert ChannelAugment().eval()(AUDIO) is AUDIO


def test_refusals() -> None:
    with pytest.raises(ValueError, match=r"input channels \(4\) is smaller than the min .* \(5\)"):
        ChannelAugment(num_channels_min=5)(AUDIO)
    with pytest.raises(ValueError, match="Min number of channels 3 cannot be greater than max"):
        ChannelAugment(num_channels_min=3, num_channels_max=2)
    config = {"num_channels_min": 3, "num_channels_max": 2}
    with pytest.raises(ValidationError, match="at most num_channels_max, 2, but got 3"):
        component("augmentation", {"name": "ChannelAugment", "config": config})
    made = component("augmentation", {"name": "ChannelAugment", "config": {"num_channels_min": 2}}).build()
    assert isinstance(made, ChannelAugment)
