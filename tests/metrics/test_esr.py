import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nam_like.config.component import component
from nam_like.metrics.esr import ESR, MSE, esr_per_item


def test_esr_is_energy_weighted_over_files_of_unequal_length_and_level():
    rng = np.random.default_rng(0)
    files = [
        (rng.normal(size=n) * level, rng.normal(size=n) * level) for n, level in ((500, 1.0), (90, 1e-3))
    ]
    esr, mse = ESR(), MSE()
    for p, y in files:
        esr.update(torch.tensor(p)[None], torch.tensor(y)[None])
        mse.update(torch.tensor(p)[None], torch.tensor(y)[None])
    p, y = (np.concatenate(side) for side in zip(*files, strict=True))
    assert esr.compute().item() == pytest.approx(((p - y) ** 2).sum() / (y**2).sum(), rel=1e-12)
    assert mse.compute().item() == pytest.approx(np.mean((p - y) ** 2), rel=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 99))
def test_how_it_is_cut_into_batches_does_not_matter(lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    p, y = torch.randn(2, sum(lengths), generator=generator)
    whole, cut = ESR(), ESR()
    whole.update(p, y)
    for a, b in zip(p.split(lengths), y.split(lengths), strict=True):
        cut.update(a, b)
    assert cut.compute().item() == pytest.approx(whole.compute().item(), rel=1e-9)


def test_a_small_error_on_a_long_file_is_not_lost_in_rounding():
    y = torch.full((1, 2_000_000), 0.5)
    metric = ESR()
    metric.update(y * (1 + 2**-10), y)
    assert metric.compute().item() == pytest.approx(2**-20, rel=1e-9)


def test_silence_is_finite():
    metric = ESR()
    metric.update(torch.zeros(1, 10), torch.zeros(1, 10))
    assert metric.compute().item() == 0.0
    metric.update(torch.ones(1, 10), torch.zeros(1, 10))
    assert np.isfinite(metric.compute().item())
    assert metric.compute().item() > 1e9
    metric.reset()
    metric.update(torch.empty(0), torch.empty(0))
    assert metric.compute().item() == 0.0


def test_esr_per_item_is_one_value_per_file():
    y = torch.randn(3, 200)
    p = y * torch.tensor([[1.0], [1.1], [0.0]])
    np.testing.assert_allclose(esr_per_item(p, y).numpy(), [0.0, 0.01, 1.0], rtol=1e-5)


def test_both_are_components():
    assert isinstance(component("metric", "ESR").build(), ESR)
    assert isinstance(component("metric", {"name": "MSE"}).build(), MSE)
