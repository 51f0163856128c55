"""NovoGrad against its paper in float64 NumPy, and two steps by hand."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nam_like.config.component import component
from nam_like.optim.novograd import NovoGrad


def make(parameters: list[nn.Parameter], **config: Any) -> NovoGrad:
    made: NovoGrad = component("optimizer", {"name": "NovoGrad", "config": config}).build(parameters)
    return made


def gradients(seed: int = 0, steps: int = 6) -> list[np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(3, 2)) * 10.0**-i for i in range(steps)]


def step_all(optimizer: NovoGrad, w: nn.Parameter, of: list[np.ndarray[Any, Any]]) -> None:
    for g in of:
        w.grad = torch.from_numpy(g.copy())
        optimizer.step()
        assert np.array_equal(w.grad.numpy(), g)


def paper(
    w: np.ndarray[Any, Any],
    of: list[np.ndarray[Any, Any]],
    lr: float = 0.1,
    betas: tuple[float, float] = (0.95, 0.98),
    decay: float = 0.0,
    share: bool = False,
    largest: bool = False,
) -> np.ndarray[Any, Any]:
    v = m = most = 0.0
    for i, g in enumerate(of):
        v = np.sum(g**2) if i == 0 else betas[1] * v + (1 - betas[1]) * np.sum(g**2)
        most = max(most, v)
        new = g / (np.sqrt(most if largest else v) + 1e-8) + decay * w
        m = betas[0] * m + new * (1 - betas[0] if share else 1)
        w = w - lr * m
    return w


def test_two_steps_by_hand() -> None:
    w = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = make([w], lr=0.1, betas=[0.5, 0.75], eps=0)
    step_all(optimizer, w, [np.array([3.0, 4.0])])  # v = 25, m = g/5
    assert w.tolist() == pytest.approx([-0.06, -0.08])
    step_all(optimizer, w, [np.array([0.0, 5.0])])  # v = 25, m = (0.3, 0.4 + 1)
    assert w.tolist() == pytest.approx([-0.09, -0.22])


@pytest.mark.parametrize(
    ("config", "of_paper"),
    [
        ({}, {}),
        ({"betas": [0.8, 0.5], "weight_decay": 0.01}, {"betas": (0.8, 0.5), "decay": 0.01}),
        ({"grad_averaging": True}, {"share": True}),
        ({"amsgrad": True}, {"largest": True}),
    ],
)
def test_as_the_paper_has_it(config: dict[str, Any], of_paper: dict[str, Any]) -> None:
    start = np.linspace(-1, 1, 6).reshape(3, 2)
    w = nn.Parameter(torch.from_numpy(start.copy()))
    step_all(make([w], lr=0.1, **config), w, gradients())
    np.testing.assert_allclose(w.detach().numpy(), paper(start, gradients(), **of_paper), rtol=1e-10)


def test_an_update_is_limited_to_a_share_of_the_weights() -> None:
    w = nn.Parameter(torch.full((4,), 2.0, dtype=torch.float64))
    step_all(make([w], lr=1.0, luc=True, luc_trust=0.01), w, [np.array([1.0, 0.0, 0.0, 0.0])])
    assert w.tolist() == pytest.approx([1.96, 2.0, 2.0, 2.0])
    step_all(make([w], lr=1e-4, luc=True, luc_trust=0.01), w, [np.array([0.0, 1.0, 0.0, 0.0])])
    assert w.tolist() == pytest.approx([1.96, 2.0 - 1e-4, 2.0, 2.0])


def test_the_size_of_gradients_does_not_matter_and_silent_ones_do_nothing() -> None:
    ends = []
    for factor in (1.0, 1000.0):
        w = nn.Parameter(torch.ones(3, 2, dtype=torch.float64))
        step_all(make([w], lr=0.1, eps=0.0), w, [factor * g for g in gradients()])
        ends.append(w.detach())
    assert torch.allclose(*ends, rtol=1e-12)
    w = nn.Parameter(torch.ones(3, 2, dtype=torch.float64))
    step_all(make([w], lr=0.1), w, [np.zeros((3, 2))])
    assert torch.equal(w.detach(), torch.ones(3, 2, dtype=torch.float64))
    step_all(make([w], lr=0.1), w, gradients())
    assert torch.isfinite(w).all()


def test_it_goes_on_from_its_state() -> None:
    whole, cut = (nn.Parameter(torch.ones(3, 2, dtype=torch.float64)) for _ in range(2))
    step_all(make([whole], lr=0.1, amsgrad=True), whole, gradients())
    first = make([cut], lr=0.1, amsgrad=True)
    step_all(first, cut, gradients()[:3])
    second = make([cut], lr=0.1, amsgrad=True)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    step_all(second, cut, gradients()[3:])
    assert torch.equal(whole, cut)


def test_options_out_of_range_are_refused() -> None:
    w = [nn.Parameter(torch.ones(1))]
    with pytest.raises(ValueError, match=r"expected `lr` to be 0 or more, but got -1"):
        NovoGrad(w, lr=-1)
    with pytest.raises(ValueError, match=r"from 0 up to but not 1, but got 1.0"):
        NovoGrad(w, betas=(0.9, 1.0))
    with pytest.raises(ValidationError):
        make(w, betas=[0.9, 1.0])
