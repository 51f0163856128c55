"""MSE, MAE and SDR on padded batches: hand computations, recorded values, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from harness.closed_form import arrays, scalars, sig
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from nam_like.config.component import component
from nam_like.losses.distortion import SDR
from nam_like.losses.errors import LossError
from nam_like.losses.sum import WeightedSum
from nam_like.losses.time import MAE, MSE, mean_square

ESTIMATE = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
TARGET = torch.tensor([[[2.0, 2.0, 2.0, 6.0]]])


def loss(name: str, **config: Any) -> nn.Module:
    made: nn.Module = component("loss", {"name": name, "config": config}).build()
    return made


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("MSE", {}, 1.5),
        ("MAE", {}, 1.0),
        ("SDR", {}, -3.802113),
        ("SDR", {"remove_mean": False}, -9.030900),
        ("SDR", {"scale_invariant": True}, -1.760913),
        ("SDR", {"scale_invariant": True, "remove_mean": False}, -9.542425),
        ("SDR", {"sdr_max": 10, "remove_mean": False}, -6.478174),
        ("SDR", {"convolution_invariant": True, "convolution_filter_length": 1}, -1.760913),
    ],
)
def test_four_samples_by_hand(name: str, config: dict[str, Any], expected: float) -> None:
    made = loss(name, **config)
    padded = [nn.functional.pad(x, (0, 3), value=7.0) for x in (ESTIMATE, TARGET)]
    assert float(made(ESTIMATE, TARGET)) == pytest.approx(expected, abs=2e-6)
    assert float(made(ESTIMATE[0], TARGET[0])) == pytest.approx(expected, abs=2e-6)
    assert float(made(*padded, torch.tensor([4]))) == pytest.approx(expected, abs=2e-6)


def test_three_of_the_four_samples() -> None:
    assert float(MSE()(ESTIMATE, TARGET, torch.tensor([3]))) == pytest.approx(2 / 3, abs=1e-6)


def test_silence_and_perfection_are_finite() -> None:
    zero = torch.zeros(1, 1, 4)
    target = TARGET[..., [0, 3, 1, 3]] - 4.0  # unlike the mean
    assert float(loss("SDR", scale_invariant=True)(zero, target)) == pytest.approx(80.0, abs=1e-3)
    assert float(loss("SDR")(ESTIMATE, zero)) == pytest.approx(80.0, abs=1e-3)
    assert float(loss("SDR")(TARGET, TARGET)) == pytest.approx(-84.7712, abs=1e-3)
    assert float(loss("SDR", sdr_max=30.0)(TARGET, TARGET)) == pytest.approx(-29.999985, abs=1e-5)


@pytest.mark.parametrize(("index", "lengths"), [(0, None), (1, torch.tensor([4000, 2500]))])
@pytest.mark.parametrize(
    ("recorded", "name", "config"),
    [
        ("mse", "MSE", {}),
        ("mae", "MAE", {}),
        ("mse_w", "MSE", {"weight": [0.3, 0.7]}),
        ("weight", "SDR", {"weight": [0.3, 0.7]}),
        ("sdr", "SDR", {}),
        ("si", "SDR", {"scale_invariant": True}),
        ("nomean", "SDR", {"remove_mean": False}),
        ("max20", "SDR", {"sdr_max": 20}),
    ],
)
def test_recorded_losses(
    recorded: str, name: str, config: dict[str, Any], index: int, lengths: Tensor | None
) -> None:
    found = loss(name, **config)(arrays()["loss_est"], sig(2, 2, 4000, 1), lengths)
    assert float(found) == pytest.approx(scalars()["losses"][recorded][index], abs=1e-5, rel=1e-6)


def test_without_lengths_the_mean_square_is_what_it_was_bit_by_bit() -> None:
    estimate, target = sig(3, 1, 999, 0)[:, 0], sig(3, 1, 999, 1)[:, 0]
    assert torch.equal(MSE()(estimate, target), mean_square(estimate, target))


@pytest.mark.parametrize(("made", "of"), [(MSE(), lambda e: abs(e) ** 2), (MAE(), abs)])
def test_spectrograms_have_lengths_in_frames(made: nn.Module, of: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    estimate, target = (
        torch.randn(2, 3, 5, 7, generator=generator, dtype=torch.complex128) for _ in range(2)
    )
    lengths = [7, 4]
    items = [
        sum(of(complex(e)) for e in (estimate - target)[i, :, :, :n].flatten().tolist()) / (3 * 5 * n)
        for i, n in enumerate(lengths)
    ]
    estimate.requires_grad_()
    found = made(estimate, target, torch.tensor(lengths))
    found.backward()
    assert found.item() == pytest.approx(sum(items) / 2, rel=1e-9)
    assert estimate.grad is not None
    assert not estimate.grad[1, :, :, 4:].any()
    whole = made(estimate, target)
    assert not whole.is_complex()
    assert whole.item() == pytest.approx(
        sum(of(complex(e)) for e in (estimate - target).detach().flatten().tolist()) / estimate.numel()
    )


def test_emphasised_signals_are_one_sample_shorter() -> None:
    estimate, target = sig(1, 1, 50, 0), sig(1, 1, 50, 1)
    emphasised = MSE(0.9)
    alone = emphasised(estimate[..., :30], target[..., :30])
    assert emphasised(estimate, target, torch.tensor([30])).item() == pytest.approx(alone.item(), rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    which=st.sampled_from([MSE(), MAE(), SDR(scale_invariant=True)]),
    filler=st.floats(-3, 3, width=32),
)
def test_a_batch_is_the_mean_of_its_items_whatever_stands_behind_them(
    lengths: list[int], which: nn.Module, filler: float
) -> None:
    items = [(sig(1, 2, n, i).double(), sig(1, 2, n, i + 9).double()) for i, n in enumerate(lengths)]
    estimate, target = (
        torch.cat(
            [nn.functional.pad(item[side], (0, 40 - item[side].shape[-1]), value=filler) for item in items]
        )
        for side in (0, 1)
    )
    expected = sum(float(which(*item)) for item in items) / len(items)
    found = float(which(estimate, target, torch.tensor(lengths)))
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_the_convolution_invariant_loss_has_the_gradient_of_finite_differences() -> None:
    target = sig(1, 1, 40, 3).double()
    made = SDR(convolution_invariant=True, convolution_filter_length=4)
    assert torch.autograd.gradcheck(
        lambda estimate: made(estimate, target), sig(1, 1, 40, 8).double().requires_grad_()
    )


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("SDR", {"scale_invariant": True, "convolution_invariant": True}, "but got both"),
        ("MSE", {"weight": [0.5, 0.4]}, "add up to 1, but got"),
        ("MAE", {"weight": [1.5, -0.5]}, "greater than 0"),
        ("MSE", {"pre_emphasis": 0.5, "domain": "encoded"}, "expected no `pre_emphasis`"),
        ("SDR", {"domain": "encoded"}, "time"),
    ],
)
def test_configs_that_are_refused(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        loss(name, **config)


@pytest.mark.parametrize(
    ("made", "shape", "lengths", "message"),
    [
        (MSE(weight=[0.5, 0.5]), (1, 3, 8), None, "each of the 3 channels, but got 2"),
        (MAE(), (2, 1, 8), [8], r"shape \(2,\), one for each item, but got \(1,\)"),
        (MAE(), (2, 1, 1, 1, 8), None, "but got 5 axes"),
        (SDR(), (2, 1, 3, 8), None, "expected waveforms"),
    ],
)
def test_signals_that_are_refused(
    made: nn.Module, shape: tuple[int, ...], lengths: list[int] | None, message: str
) -> None:
    given_lengths = None if lengths is None else torch.tensor(lengths)
    with pytest.raises(LossError, match=message):
        made(torch.zeros(shape), torch.ones(shape), given_lengths)
    with pytest.raises(LossError, match="expected the prediction to have the target's shape"):
        made(torch.zeros(1, 1, 4), torch.ones(1, 2, 4))


def test_they_say_what_they_take_and_stay_out_of_checkpoints() -> None:
    terms = {"a": (loss("MSE", weight=[0.5, 0.5], domain="encoded"), 1.0), "b": (loss("SDR"), 1.0)}
    assert [term.domain for term, _ in terms.values()] == ["encoded", "time"]
    assert all(term.takes_lengths for term, _ in terms.values())
    assert not WeightedSum(terms).state_dict()
