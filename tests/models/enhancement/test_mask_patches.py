"""Hidden patches: how many, where, and that they are whole."""

from __future__ import annotations

import math

import pytest
import torch

from nam_like.models.enhancement.mask_patches import MaskPatches, fixed_patches, random_patches

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.3, 0.7, 1.0])
def test_as_many_whole_patches_are_hidden_as_the_fraction_asks_for(fraction: float) -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([87, 276, 9, 10, 300])
    hidden = random_patches(lengths, 300, 10, fraction)
    assert hidden.shape == (5, 300)
    for row, length in zip(hidden, lengths.tolist(), strict=True):
        wanted = min(math.ceil(int(length * fraction) / 10), length // 10)
        patches = row.reshape(30, 10)
        assert int(row.sum()) == 10 * wanted
        assert (patches.all(dim=1) | ~patches.any(dim=1)).all()
        assert not row[length:].any()


def test_which_patches_is_random_and_repeatable() -> None:
    lengths = torch.full((200,), 50)
    torch.manual_seed(0)
    first = random_patches(lengths, 50, 10, 0.4)
    second = random_patches(lengths, 50, 10, 0.4)
    torch.manual_seed(0)
    assert torch.equal(random_patches(lengths, 50, 10, 0.4), first)
    assert not torch.equal(first, second)
    # Two of five patches: each is hidden in about 80 of 200 items (standard deviation 7).
    assert (first[:, ::10].sum(dim=0) - 80).abs().max() < 28


def test_the_fixed_pattern() -> None:
    cpu = torch.device("cpu")
    hidden = fixed_patches(42, 10, 0.7, cpu)
    assert hidden.tolist() == ([True] * 10 + [False] * 4) * 3
    assert not fixed_patches(42, 10, 0.0, cpu).any()
    assert int(fixed_patches(42, 10, 1e-300, cpu).sum()) == 10
    assert fixed_patches(42, 10, 1.0, cpu).all()


@pytest.mark.parametrize("training", [False, True])
def test_the_module_hides_and_leaves_the_rest(training: bool) -> None:
    module = MaskPatches(patch_size=4, mask_fraction=0.5).train(training)
    x = torch.randn(2, 1, 3, 23, dtype=torch.complex64)
    frames = torch.tensor([23, 16])
    torch.manual_seed(2)
    found = module(x, frames)
    torch.manual_seed(2)
    assert torch.equal(torch.jit.script(module)(x, frames), found)
    hidden = (found == 0).all(dim=2)[:, 0]
    kept = ~hidden[:, None, None, :].expand_as(x)
    assert torch.equal(found[kept], x[kept])
    assert hidden[1, 16:].all()
    assert int(hidden[1, :16].sum()) == 8


def test_arguments_out_of_range() -> None:
    with pytest.raises(ValueError, match="patch_size must be positive, got patch_size=0"):
        MaskPatches(patch_size=0)
    with pytest.raises(
        ValueError, match=r"mask_fraction must be in the range \[0.0, 1.0\], got mask_fraction=1.5"
    ):
        MaskPatches(mask_fraction=1.5)
