import numpy as np
import pytest
import torch

from nam_like.config.component import component
from nam_like.losses.errors import LossError
from nam_like.losses.pre_emphasis import pre_emphasis
from nam_like.losses.time import DC, ESR, MSE


def signals(batch=3, length=1000, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(batch, length)).astype(np.float32)
    y = rng.normal(size=(batch, length)).astype(np.float32) * np.array([[0.01], [0.3], [1.0]])[:batch]
    return torch.tensor(p), torch.tensor(y.astype(np.float32))


def test_mse_esr_dc_are_their_formulas_in_float64():
    p, y = signals()
    a, b = p.double().numpy(), y.double().numpy()
    assert MSE()(p, y).item() == pytest.approx(np.mean((a - b) ** 2), rel=1e-6)
    esr = np.mean(np.mean((a - b) ** 2, axis=1) / np.mean(b**2, axis=1))
    assert ESR(eps=1e-12)(p, y).item() == pytest.approx(esr, rel=1e-6)
    assert DC()(p, y).item() == pytest.approx(np.mean((a.mean(1) - b.mean(1)) ** 2), rel=1e-4)


def test_esr_of_a_silent_target_is_finite_and_has_a_gradient():
    p = torch.full((2, 100), 0.1, requires_grad=True)
    value = ESR()(p, torch.zeros(2, 100))
    assert value.item() == pytest.approx(0.01 / 1e-8, rel=1e-5)
    value.backward()
    assert torch.isfinite(p.grad).all()
    assert ESR()(torch.zeros(2, 9), torch.zeros(2, 9)).item() == 0.0


def test_eps_hardly_moves_the_esr_of_a_normal_level():
    y = 0.1 * torch.sin(torch.arange(48000) * 0.05)[None]
    assert ESR()(0.9 * y, y).item() == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize("coef", [0.0, 0.85, 1.0])
def test_pre_emphasis_is_the_fir_filter(coef):
    scipy_signal = pytest.importorskip("scipy.signal")
    x = torch.randn(2, 50, dtype=torch.float64)
    expected = scipy_signal.lfilter([1.0, -coef], [1.0], x.numpy(), axis=-1)[:, 1:]
    np.testing.assert_allclose(pre_emphasis(x, coef).numpy(), expected, atol=1e-12)


def test_pre_emphasised_mse_is_one_sample_shorter():
    p, y = signals()
    e = (p - y).double().numpy()
    expected = np.mean((e[:, 1:] - 0.85 * e[:, :-1]) ** 2)
    assert MSE(pre_emphasis=0.85)(p, y).item() == pytest.approx(expected, rel=1e-5)


def test_wrong_segments_are_named():
    with pytest.raises(LossError, match=r"target's shape \(2, 5\), but got \(2, 4\)"):
        MSE()(torch.zeros(2, 4), torch.zeros(2, 5))
    with pytest.raises(LossError, match="at least 2 samples for pre-emphasis, but got 1"):
        MSE(0.9)(torch.zeros(2, 1), torch.zeros(2, 1))
    with pytest.raises(LossError, match="at least 1 sample"):
        MSE()(torch.zeros(2, 0), torch.zeros(2, 0))


@pytest.mark.parametrize("name", ["MSE", "ESR", "DC", "Fourier", "MRSTFT"])
def test_each_loss_builds_from_its_config_and_is_zero_for_a_perfect_prediction(name):
    loss = component("loss", name).build()
    y = torch.randn(2, 2048)
    assert loss(y, y).item() == 0.0
    assert loss(y + 0.1, y).item() > 0.0


def test_pre_emphasis_is_an_option_of_every_config_but_dc():
    for name in ("MSE", "ESR", "Fourier", "MRSTFT"):
        assert component("loss", {"name": name, "config": {"pre_emphasis": 0.5}}).build().pre_emphasis == 0.5
    for bad in (1.5, -0.1, True, "0.5"):
        with pytest.raises(ValueError, match="pre_emphasis"):
            component("loss", {"name": "MSE", "config": {"pre_emphasis": bad}})
    with pytest.raises(ValueError, match="pre_emphasis"):
        component("loss", {"name": "DC", "config": {"pre_emphasis": 0.5}})
