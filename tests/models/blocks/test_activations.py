"""Activations: closed forms, spellings, and what the realtime engine makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from harness.net_contract import noise
from pydantic import BaseModel, ValidationError
from torch import nn

from nam_like.export.nam_read.activations import parse_activation
from nam_like.models.blocks.activation_field import POINTWISE, ActivationOrList, OfActivation
from nam_like.models.blocks.activations import (
    Fasttanh,
    LeakyHardtanh,
    PairBlend,
    PairMultiply,
    Softsigmoid,
)
from nam_like.models.blocks.engine_activation import engine_activation, why_not_playable

X = torch.linspace(-6.0, 6.0, 241, dtype=torch.float64)


def make(value: Any, **options: Any) -> nn.Module:
    return OfActivation("activation", flat=True, **options).validate(value).build()


def problems(value: Any, **options: Any) -> list[tuple[tuple[Any, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        make(value, **options)
    return [(error["loc"], error["msg"]) for error in caught.value.errors()]


def test_softsigmoid() -> None:
    wanted = [0.5 * (1 + v / (1 + abs(v))) for v in X.tolist()]
    np.testing.assert_allclose(Softsigmoid()(X), wanted, atol=1e-15)


def test_fasttanh_is_near_tanh_and_odd() -> None:
    y = Fasttanh()(X)
    assert float((y - X.tanh()).abs().max()) < 3e-3
    torch.testing.assert_close(y, -y.flip(0))


def test_leaky_hardtanh() -> None:
    y = LeakyHardtanh(-1.0, 2.0, 0.1, 0.5)(torch.tensor([-3.0, -1.0, 0.5, 2.0, 4.0]))
    torch.testing.assert_close(y, torch.tensor([-1.2, -1.0, 0.5, 2.0, 3.0]))
    with pytest.raises(ValueError, match=r"expected `min_val` to be below `max_val` \(0.0\), but got 1.0"):
        LeakyHardtanh(1.0, 0.0)


def test_pairs() -> None:
    z = noise(2, 6, 5)
    first, second = z[:, :3], z[:, 3:]
    torch.testing.assert_close(PairMultiply(nn.Tanh(), nn.Sigmoid())(z), first.tanh() * second.sigmoid())
    s = second.sigmoid()
    torch.testing.assert_close(PairBlend(nn.ReLU(), nn.Sigmoid())(z), s * first.relu() + (1 - s) * first)


@pytest.mark.parametrize("name", sorted(POINTWISE))
def test_every_pointwise_activation_of_torch(name: str) -> None:
    value: Any = {"name": "Threshold", "threshold": 0.1, "value": 0.0} if name == "Threshold" else name
    activation = make(value).double().eval()
    assert isinstance(activation, getattr(nn, name))
    x = X.reshape(1, 1, -1)
    alone = torch.cat([activation(x[..., i : i + 1]) for i in range(x.shape[-1])], dim=-1)
    torch.testing.assert_close(activation(x), alone)  # each sample alone: no window, no normalisation


@pytest.mark.parametrize(
    "value",
    [
        "Tanh",
        "Fasttanh",
        "ReLU",
        "Sigmoid",
        "SiLU",
        "Hardswish",
        "Softsign",
        "Hardtanh",
        "PReLU",
        "ReLU6",
        "RReLU",
        "Identity",
        "LeakyHardTanh",
        {"name": "LeakyReLU", "config": {"negative_slope": 0.2}},
        {"name": "Hardtanh", "min_val": -0.3, "max_val": 0.4},
        {"type": "LeakyHardtanh", "min_val": -0.6, "max_val": 0.5, "min_slope": 0.05, "max_slope": 0.1},
        {"type": "PReLU", "negative_slopes": [0.1, 0.9]},
    ],
    ids=str,
)
def test_the_engines_spelling_means_the_same(value: Any) -> None:
    """What we write is read by the independent reader as the same function."""
    activation = make(value).double().eval()
    spelled = engine_activation(activation)
    assert spelled is not None
    assert why_not_playable(activation) is None
    x = X.reshape(1, 1, -1).repeat(1, 2, 1)
    with torch.no_grad():
        np.testing.assert_allclose(parse_activation(spelled, "")(x[0].numpy()), activation(x)[0], atol=2e-7)


def test_pairs_need_a_slope_for_each_channel() -> None:
    assert engine_activation(nn.PReLU(init=0.5), 3) == {"type": "PReLU", "negative_slopes": [0.5] * 3}


@pytest.mark.parametrize(
    "value", ["GELU", "Softsigmoid", "Mish", "ELU", {"name": "PairMultiply", "secondary": "ELU"}]
)
def test_what_the_engine_cannot_play(value: Any) -> None:
    reason = why_not_playable(make(value))
    assert reason is not None
    assert "it has Tanh, Fasttanh" in reason


def test_refused() -> None:
    assert "did you mean 'Tanh'?" in problems("Tahn")[0][1]
    for name in ("Linear", "Softmax", "GLU", "MultiheadAttention", "torch.nn.Softmax"):
        assert problems(name)
    assert problems({"name": "ReLU", "inplace": True}) == [
        (("inplace",), "expected `inplace` to be false, but got true")
    ]
    assert problems({"name": "Tanh", "slope": 1})[0][0] == ("slope",)
    assert problems({"name": "LeakyHardtanh", "min_val": 2.0})[0][0][-1] == "min_val"
    assert problems({"name": "PairBlend", "primary": "PairMultiply"})[0][0][0] == "primary"
    assert (
        problems("PairBlend", pairs=False)[0][1]
        == "expected a single activation, but got the pair 'PairBlend'"
    )
    assert (
        "expected one of `init` and `negative_slope`"
        in problems({"name": "PReLU", "init": 0.1, "negative_slope": 0.2})[0][1]
    )
    assert problems({"name": "PReLU", "num_parameters": 3, "negative_slopes": [0.1]})


def test_lists_report_every_entry_at_its_index() -> None:
    field = ActivationOrList()
    with pytest.raises(ValidationError) as caught:
        field.validate(["Tanh", "Nope", {"name": "ReLU", "inplace": True}])
    assert [error["loc"] for error in caught.value.errors()] == [(1,), (2, "inplace")]
    with pytest.raises(Exception, match="expected an activation or a list with one per layer, but got 3"):
        field.validate(3)


def test_written_down_again() -> None:
    from typing import Annotated

    class Model(BaseModel):
        activation: Annotated[Any, ActivationOrList(optional=True)] = None

    model = Model(activation=["Tanh", None, {"type": "LeakyReLU", "negative_slope": 0.2}])
    assert model.model_dump(mode="json")["activation"] == [
        {"name": "Tanh", "config": {}},
        None,
        {"name": "LeakyReLU", "config": {"negative_slope": 0.2}},
    ]
    assert Model.model_validate(model.model_dump(mode="json")).model_dump() == model.model_dump()
