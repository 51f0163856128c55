import pytest
import torch

from nam_like.losses.errors import LossError
from nam_like.losses.sum import WeightedSum
from nam_like.losses.time import DC, MSE


def mean_abs(prediction, target):
    return (prediction - target).abs().mean()


def test_the_total_is_the_weighted_sum_and_the_values_are_unweighted():
    p, y = torch.randn(2, 2, 100)
    total, values = WeightedSum({"mse": (MSE(), 2.0), "a.b": (mean_abs, 0.5)})(p, y)
    mse, mae = (p - y).square().mean(), (p - y).abs().mean()
    assert values["mse"].item() == pytest.approx(mse.item())
    assert values["a.b"].item() == pytest.approx(mae.item())
    assert total.item() == pytest.approx(2 * mse.item() + 0.5 * mae.item())


def test_terms_of_weight_zero_cost_nothing_in_training():
    def costly(prediction, target):
        raise AssertionError

    objective = WeightedSum({"mse": (MSE(), 0.0), "costly": (costly, 0.0), "dc": (DC(), 1.0)})
    total, values = objective(torch.ones(1, 4), torch.zeros(1, 4))
    assert set(values) == {"dc"}
    assert total.item() == 1.0
    with pytest.raises(AssertionError):
        objective(torch.ones(1, 4), torch.zeros(1, 4), every_term=True)


def test_mask_first_leaves_out_the_start():
    p, y = torch.zeros(1, 10), torch.zeros(1, 10)
    p[0, :4] = 100.0
    assert WeightedSum({"mse": (MSE(), 1.0)}, mask_first=4)(p, y)[0].item() == 0.0
    assert WeightedSum({"mse": (MSE(), 1.0)}, mask_first=3)(p, y)[0].item() == pytest.approx(10000 / 7)
    with pytest.raises(LossError, match="less than the segment's 10 samples, but got 10"):
        WeightedSum({"mse": (MSE(), 1.0)}, mask_first=10)(p, y)


def test_half_precision_is_measured_in_float32():
    p, y = torch.full((1, 8), 1e-4, dtype=torch.float16), torch.zeros(1, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total, _ = WeightedSum({"mse": (MSE(), 1.0)})(p, y)
    assert total.dtype == torch.float32
    assert total.item() == pytest.approx(1e-8, rel=1e-2)


def test_no_term_is_an_error():
    with pytest.raises(LossError, match="at least one loss term"):
        WeightedSum({})
