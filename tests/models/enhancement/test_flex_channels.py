"""Masks from any number of microphones: order, number, padding, every kind of block, scripting."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from nam_like.config.component import component
from nam_like.models.enhancement.channel_blocks import (
    ChannelAttentionPool,
    TransformAttendConcatenate,
    TransformAverageConcatenate,
)
from nam_like.models.enhancement.flex_channels import MaskEstimatorFlexChannels

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")

SMALL = {
    "num_outputs": 2,
    "num_subbands": 9,
    "num_blocks": 2,
    "temporal_block_num_layers": 1,
    "temporal_block_num_heads": 2,
    "temporal_block_dimension": 8,
    "temporal_block_kernel_size": 3,
}
KINDS = [
    {"channel_block_type": "transform_average_concatenate", "channel_reduction_type": "average"},
    {"channel_reduction_position": 1, "mag_reduction": None, "mag_normalization": "mean_var"},
    {"channel_reduction_position": 0, "ipd_normalization": "mean"},
    {"use_ipd": False, "mag_reduction": "rms", "mag_power": 0.5},
]


def estimator(**config: Any) -> MaskEstimatorFlexChannels:
    torch.manual_seed(0)
    net: MaskEstimatorFlexChannels = component(
        "estimator", {"name": "MaskEstimatorFlexChannels", "config": {**SMALL, **config}}
    ).build()
    return net.eval()


def spectrogram(channels: int = 3, count: int = 11) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, channels, 9, count, dtype=torch.complex64, generator=generator)


@pytest.mark.parametrize("config", KINDS)
def test_order_and_number_of_channels(config: dict[str, Any]) -> None:
    net = estimator(**config)
    frames = torch.tensor([11, 7])
    x = spectrogram(4)
    with torch.no_grad():
        masks = net(x, frames)
        other = net(x[:, [2, 0, 3, 1]], frames)
        fewer = net(x[:, :2], frames)
        single = net(x[:, :1], frames)
    assert masks.shape == fewer.shape == single.shape == (2, 2, 9, 11)
    torch.testing.assert_close(masks, other, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(masks, fewer, atol=1e-4)
    assert ((masks >= 0) & (masks <= 1)).all()
    assert not masks[1, ..., 7:].any()


@pytest.mark.parametrize("config", KINDS)
def test_what_is_behind_an_item_changes_nothing(config: dict[str, Any]) -> None:
    net, x = estimator(**config), spectrogram()
    with torch.no_grad():
        together = net(x, torch.tensor([7, 11]))
        alone = net(x[:1, ..., :7], torch.tensor([7]))
    torch.testing.assert_close(together[:1, ..., :7], alone, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("config", KINDS)
def test_scripted_estimators_take_any_length_and_number(config: dict[str, Any]) -> None:
    net = estimator(**config)
    scripted: Any = torch.jit.script(net)
    for channels, count in ((1, 1), (2, 5), (4, 20)):
        x, frames = spectrogram(channels, count), torch.tensor([count, (count + 1) // 2])
        with torch.no_grad():
            torch.testing.assert_close(scripted(x, frames), net(x, frames))


def test_it_learns() -> None:
    """A gate that opens in loud frames."""
    net = estimator(num_outputs=1, num_blocks=1, dropout=0.0, channel_reduction_type="average").train()
    x = spectrogram()
    loud = x.abs().mean(dim=(1, 2), keepdim=True)
    wanted = (loud > loud.median()).float().expand(-1, -1, 9, -1)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (net(x, torch.tensor([11, 11])) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_mixing_keeps_the_channels_own_half_apart() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 5, 3, 6)
    changed = x.clone()
    changed[:, :, 2] += 1.0
    for mixer in (TransformAverageConcatenate(6, 16), TransformAttendConcatenate(6, 16, 4)):
        before, after = mixer(x), mixer(changed)
        assert before.shape == (2, 5, 3, 16)
        torch.testing.assert_close(before[:, :, :2, :8], after[:, :, :2, :8])
        assert (before[:, :, :2, 8:] != after[:, :, :2, 8:]).any()
    average = TransformAverageConcatenate(6, 16)
    torch.testing.assert_close(average(x)[:, :, 0, 8:], torch.relu(average.shared[0](x)).mean(dim=2))


def test_attention_over_channels_is_torchs() -> None:
    torch.manual_seed(0)
    pool = ChannelAttentionPool(6)
    attention = pool.attention
    theirs = torch.nn.MultiheadAttention(6, 1, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(
            torch.cat((attention.query.weight, attention.key.weight, attention.value.weight))
        )
        theirs.in_proj_bias.copy_(torch.cat((attention.query.bias, attention.key.bias, attention.value.bias)))
        theirs.out_proj.weight.copy_(attention.output.weight)
        theirs.out_proj.bias.copy_(attention.output.bias)
        x = torch.randn(2, 5, 3, 6)
        flat = x.reshape(10, 3, 6)
        wanted = theirs(flat, flat, flat)[0].mean(dim=1).reshape(2, 5, 6)
        torch.testing.assert_close(pool(x), wanted)


@pytest.mark.parametrize(
    ("config", "at", "message"),
    [
        ({"channel_reduction_position": 3}, "channel_reduction_position", "at most num_blocks, 2, but got 3"),
        ({"temporal_block_dimension": 12, "temporal_block_num_heads": 4}, "temporal_block_dimension", "of 8"),
        ({"temporal_block_dimension": 8, "temporal_block_num_heads": 3}, "temporal_block_dimension", "of 3"),
        ({"temporal_block_kernel_size": 4}, "temporal_block_kernel_size", "an odd number, but got 4"),
        ({"temporal_block_type": "lstm"}, "temporal_block_type", "conformer_encoder"),
    ],
)
def test_refusals_name_the_key(config: dict[str, Any], at: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        estimator(**config)
    assert caught.value.errors()[0]["loc"] == ("config", at)


def test_a_number_of_channels_can_be_asked_for() -> None:
    net = estimator(num_input_channels=3)
    assert net(spectrogram(3), torch.tensor([11, 11])).shape == (2, 2, 9, 11)
    with pytest.raises(ValueError, match="expected 3 channels, but got 2"):
        net(spectrogram(2), torch.tensor([11, 11]))


def test_impossible_nets() -> None:
    for config, message in (
        ({"channel_block_type": "mix"}, "Unknown channel layer type: mix"),
        ({"channel_reduction_type": "max"}, "Unknown channel reduction type: max"),
        ({"channel_reduction_position": 5}, "from -1 to num_blocks"),
        ({"temporal_block_dimension": 12}, "expected a multiple of 8 features, but got 12"),
    ):
        with pytest.raises(ValueError, match=message):
            MaskEstimatorFlexChannels(**{**SMALL, **config})


def test_a_whole_net_of_microphones_can_be_scripted() -> None:
    """Random channels, masks from any number of them, a beamformer, and a script of it all."""
    shape = {"fft_length": 16, "hop_length": 8}
    net = component(
        "net",
        {
            "name": "MaskEnhancer",
            "config": {
                "encoder": {"name": "AudioToSpectrogram", "config": shape},
                "mask_estimator": {
                    "name": "MaskEstimatorFlexChannels",
                    "config": {**SMALL, "num_outputs": 1},
                },
                "mask_processor": {"name": "MaskBasedBeamformer", "config": {"ref_channel": "max_snr"}},
                "decoder": {"name": "SpectrogramToAudio", "config": shape},
                "channel_augment": {"name": "ChannelAugment", "config": {"num_channels_min": 2}},
            },
        },
    ).build()
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(2, 4, 100, generator=generator)
    lengths = torch.tensor([100, 70])
    views = net.train().views(audio, lengths, audio[:, :1], ("time",))
    views["time"][0].square().mean().backward()
    assert all(weight.grad is not None for weight in net.parameters())
    net.eval()
    scripted: Any = torch.jit.script(net)
    for channels, samples in ((1, 9), (2, 64), (4, 100)):
        x = audio[:, :channels, :samples]
        with torch.no_grad():
            torch.testing.assert_close(scripted(x), net(x), rtol=1e-3, atol=1e-4)
