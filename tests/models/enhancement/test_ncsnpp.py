"""NCSN++ against recorded outputs and parameter counts of the original."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from harness.closed_form import arrays, fill, scalars, sig
from pydantic import ValidationError

from nam_like.models.enhancement.ncsnpp import NCSNpp, NCSNppConfig
from nam_like.models.enhancement.spectrogram import AudioToSpectrogram

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")

SMALL: dict[str, Any] = {"channels": [8, 8, 16, 16, 16], "num_res_blocks": 1, "pad_time_to": 64}
CONDITIONED: dict[str, Any] = {
    "in_channels": 2,
    "channels": [8, 8, 16],
    "num_resolutions": 2,
    "num_res_blocks": 2,
    "conditioned_on_time": True,
}


def spectrogram() -> tuple[torch.Tensor, torch.Tensor]:
    encoder = AudioToSpectrogram(fft_length=510, hop_length=128, magnitude_power=0.5, scale=0.33)
    made: tuple[torch.Tensor, torch.Tensor] = encoder(sig(2, 1, 32000, 0), torch.tensor([32000, 25000]))
    return made


def test_the_recorded_output() -> None:
    net, expected = NCSNpp(**SMALL), scalars()["ncsn_small"]
    assert sum(parameter.numel() for parameter in net.parameters()) == expected["params"]
    fill(net)
    x, frames = spectrogram()
    with torch.no_grad():
        found = net(x, frames)
    assert list(found.shape) == expected["out_shape"]
    assert complex(found[0, 0, 100, 100]) == pytest.approx(complex(*expected["v"]), abs=1e-5)
    assert complex(found[1, 0, 33, 60]) == pytest.approx(complex(*expected["v2"]), abs=1e-5)
    assert float(found.abs().mean()) == pytest.approx(expected["abs_mean"], rel=1e-4)
    torch.testing.assert_close(found[:, :, ::16, ::25], arrays()["ncsn_small_o_sub"], rtol=0, atol=1e-4)


def test_the_recorded_output_of_a_net_that_is_told_the_time() -> None:
    net, expected = NCSNpp(**CONDITIONED), scalars()["ncsn_cond"]
    fill(net)
    x, frames = spectrogram()
    with torch.no_grad():
        found = net(torch.cat((x, 0.5 * x.conj()), dim=1), frames, torch.tensor([0.3, 0.9]))
    assert complex(found[0, 0, 100, 100]) == pytest.approx(complex(*expected["v"]), abs=1e-5)
    assert float(found.abs().mean()) == pytest.approx(expected["abs_mean"], rel=1e-4)
    torch.testing.assert_close(found[:, :, ::16, ::25], arrays()["ncsn_cond_o_sub"], rtol=0, atol=1e-5)


def test_the_time_matters_and_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    net = NCSNpp(in_channels=2, channels=[4, 4, 8], num_resolutions=2, conditioned_on_time=True).double()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.3)
    x = torch.randn(2, 2, 8, 12, dtype=torch.complex128)
    weight = net.ncsnpp.time_embedding[1].weight
    direction = torch.randn_like(weight)

    def loss(step: float) -> torch.Tensor:
        with torch.no_grad():
            weight.add_(step * direction)
        made: torch.Tensor = net(x, torch.tensor([12, 7]), torch.tensor([0.2, 0.7], dtype=torch.float64))
        with torch.no_grad():
            weight.sub_(step * direction)
        return made.abs().square().sum()

    (gradient,) = torch.autograd.grad(net(x, None, torch.full((2,), 0.5).double()).abs().sum(), [weight])
    assert torch.isfinite(gradient).all()
    total = loss(0.0)
    (gradient,) = torch.autograd.grad(total, [weight])
    slope = float((loss(1e-6) - loss(-1e-6)).detach()) / 2e-6
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-6)
    with torch.no_grad():
        early, late = (net(x, None, torch.full((2,), t, dtype=torch.float64)) for t in (0.1, 0.9))
    assert float((early - late).abs().max()) > 1e-3


@pytest.mark.parametrize(
    ("config", "count"),
    [
        ({"num_res_blocks": 3, "pad_time_to": 64, "pad_dimension_to": 0}, 22_072_206),
        ({}, 14_393_742),
        ({"in_channels": 2, "num_res_blocks": 3, "conditioned_on_time": True}, 25_161_882),
        ({"channels": [16, 16, 32, 32, 32], "num_res_blocks": 1}, 106_494),
    ],
)
def test_parameters_are_as_many_as_the_original_has(config: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        net = NCSNppConfig.model_validate(config).build()
    assert sum(parameter.numel() for parameter in net.parameters()) == count


def test_names_are_those_of_the_original() -> None:
    expected = scalars()["ncsn_cond"]
    net = NCSNpp(**CONDITIONED)
    assert sum(parameter.numel() for parameter in net.parameters()) == expected["params"]
    assert list(net.state_dict())[: len(expected["keys"])] == expected["keys"]
    inner = {name.split(".", 3)[-1] for name in net.state_dict() if ".output_blocks." in name}
    assert {"middle_conv.weight", "output_block.3.bias", "residual_projection.weight"} < inner
    assert {"diffusion_step_projection.1.weight", "input_block.0.weight", "output_block.0.bias"} < inner


def test_what_is_padding_changes_nothing_before_it() -> None:
    torch.manual_seed(0)
    net = NCSNpp(channels=[4, 4, 8], num_resolutions=2, num_res_blocks=1).eval()
    x = torch.randn(1, 1, 16, 24, dtype=torch.complex64)
    changed = x.clone()
    changed[..., 17:] = 100.0
    frames = torch.tensor([17])
    with torch.no_grad():
        torch.testing.assert_close(net(x, frames)[..., :17], net(changed, frames)[..., :17])


@pytest.mark.parametrize("conditioned", [False, True])
def test_scripted_nets_take_any_size_and_batch(conditioned: bool) -> None:
    torch.manual_seed(0)
    net = NCSNpp(
        channels=[4, 4, 8], num_resolutions=2, num_res_blocks=2, conditioned_on_time=conditioned
    ).eval()
    scripted = torch.jit.script(net)
    for batch, subbands, count in ((1, 16, 8), (2, 17, 9), (1, 33, 31)):
        x = torch.randn(batch, 1, subbands, count, dtype=torch.complex64)
        frames = torch.full((batch,), count - 1)
        time = torch.rand(batch) if conditioned else None
        with torch.no_grad():
            expected = net(x, frames, time)
            torch.testing.assert_close(scripted(x, frames, time), expected)
        assert expected.shape == x.shape


def test_inputs_that_do_not_fit() -> None:
    net = NCSNpp(channels=[4, 4, 8], num_resolutions=2, conditioned_on_time=True)
    x = torch.zeros(2, 1, 8, 8, dtype=torch.complex64)
    with pytest.raises(ValueError, match="Unexpected input channel size 2, expected 1"):
        net(x.expand(2, 2, 8, 8))
    with pytest.raises(ValueError, match="1-dim tensor"):
        net(x, None, torch.ones(2, 1))
    with pytest.raises(ValueError, match="match along the batch dimension"):
        net(x, None, torch.ones(3))
    with pytest.raises(ValueError, match="expected a time for a net that is conditioned on time"):
        net(x)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": [8, 8, 16]}, r"expected 5 channels \(num_resolutions \+ 1\), but got 3"),
        ({"pad_time_to": 12}, "expected a multiple of 8, which the resolutions need, but got 12"),
        ({"attention": True}, "attention"),
    ],
)
def test_configs_that_are_none(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NCSNppConfig.model_validate(config)
