"""Processes against recorded values, simulations of their equations, and the integrals that define them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from harness.closed_form import scalars, sig
from pydantic import ValidationError

from nam_like.config.component import component
from nam_like.models.enhancement.processes.bridge import NoiseSchedule, SBNoiseScheduleVE, SBNoiseScheduleVP
from nam_like.models.enhancement.processes.flow import OptimalTransportFlow
from nam_like.models.enhancement.processes.ouve import OrnsteinUhlenbeckVESDE, mean_weight
from nam_like.models.enhancement.spectrogram import AudioToSpectrogram

TIMES = torch.tensor([0.25, 0.75])
BRIDGES = {"ve": SBNoiseScheduleVE(), "vp": SBNoiseScheduleVP(beta_1=6.0)}
PATHS = 20_000


def spectrogram() -> torch.Tensor:
    """What the values were recorded on; the noisy one was half of it."""
    encoder = AudioToSpectrogram(fft_length=510, hop_length=128, magnitude_power=0.5, scale=0.33)
    made: torch.Tensor = encoder(sig(2, 1, 32000, 0), torch.tensor([32000, 25000]))[0]
    return made


def complex_noise(count: int) -> torch.Tensor:
    return torch.randn(count, dtype=torch.complex128)


def test_recorded_diffusion() -> None:
    process, expected = OrnsteinUhlenbeckVESDE(), scalars()["ouve"]
    x = spectrogram()
    assert process.std(TIMES).tolist() == pytest.approx(expected["std"], abs=1e-7)
    assert mean_weight(TIMES, 1.5).tolist() == pytest.approx(expected["mean_w"], abs=1e-7)
    assert process.diffusion(TIMES).tolist() == pytest.approx(expected["diff"], abs=2e-7)
    drift = process.drift(x, 0.5 * x)[0, 0, 10, 20].real
    assert float(drift) == pytest.approx(expected["drift"][0], abs=1e-7)


def test_recorded_flow() -> None:
    process, expected = OptimalTransportFlow(), scalars()["flow"]
    x = spectrogram()
    start = torch.zeros_like(x)
    assert process.std(TIMES).tolist() == pytest.approx(expected["std"], abs=1e-7)
    mean = process.mean(start, x, TIMES)[0, 0, 10, 20].real
    assert float(mean) == pytest.approx(expected["mean"][0], abs=1e-7)
    field = process.vector_field(0.3 * x + 0.1, start, x, TIMES)[0, 0, 10, 20]
    assert complex(field) == pytest.approx(complex(*expected["vf"]), abs=1e-7)


@pytest.mark.parametrize(("name", "bridge"), [("sb_ve", SBNoiseScheduleVE()), ("sb_vp", SBNoiseScheduleVP())])
def test_recorded_bridges(name: str, bridge: NoiseSchedule) -> None:
    expected = scalars()[name]
    found = {
        "alpha": (bridge.alpha(TIMES).tolist(), bridge.alpha_bar(TIMES).tolist(), [bridge.alpha_max]),
        "sigma": (bridge.sigma(TIMES).tolist(), bridge.sigma_bar(TIMES).tolist(), [bridge.sigma_max]),
    }
    for key, values in found.items():
        for ours, theirs in zip(values, expected[key], strict=True):
            assert ours == pytest.approx(theirs, rel=2e-6)


def simulated(
    begin: complex, last: float, drift: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], noise: Any
) -> torch.Tensor:
    """Many paths of dx = drift dt + noise dw by the method of Euler and Maruyama, at time `last`."""
    steps = 400
    x = torch.full((PATHS,), begin, dtype=torch.complex128)
    for t in torch.linspace(0.0, last, steps + 1, dtype=torch.float64)[:-1]:
        x = x + drift(x, t) * (last / steps) + noise(t) * math.sqrt(last / steps) * complex_noise(PATHS)
    return x


def check_statistics(x: torch.Tensor, mean: torch.Tensor, std: torch.Tensor) -> None:
    assert abs(complex(x.mean() - mean)) < 0.03 * float(std)
    assert float(x.std()) == pytest.approx(float(std), rel=0.02)


def test_the_diffusion_spreads_as_its_equation_says() -> None:
    torch.manual_seed(0)
    process, noisy, time = OrnsteinUhlenbeckVESDE(), -0.4 + 0.7j, 0.6
    x = simulated(
        0.8 - 0.3j, time, lambda x, t: process.drift(x, torch.full_like(x, noisy)), process.diffusion
    )
    ends = torch.tensor([0.8 - 0.3j]), torch.tensor([noisy])
    times = torch.tensor([time])
    check_statistics(x, process.mean(*ends, times)[0], process.std(times)[0])


@pytest.mark.parametrize("bridge", BRIDGES.values(), ids=BRIDGES)
def test_a_bridge_spreads_as_its_reference_that_is_tied_to_its_end(bridge: NoiseSchedule) -> None:
    torch.manual_seed(0)
    noisy, time = -0.4 + 0.7j, 0.5

    def drift(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        # Doob's transform: towards where the reference, left alone, would end at `noisy`.
        towards = (bridge.alpha_bar(t) * noisy - x) / (bridge.alpha(t) * bridge.sigma_bar(t)) ** 2
        return bridge.f(t) * x + bridge.g(t) ** 2 * towards

    x = simulated(0.8 - 0.3j, time, drift, bridge.g)
    times = torch.tensor([time])
    mean = bridge.mean(torch.tensor([0.8 - 0.3j]), torch.tensor([noisy]), times)
    check_statistics(x, mean[0], bridge.std(times)[0])


@pytest.mark.parametrize("bridge", BRIDGES.values(), ids=BRIDGES)
def test_coefficients_of_bridges_are_the_integrals_that_define_them(bridge: NoiseSchedule) -> None:
    t = torch.linspace(0.0, 0.8, 20_001, dtype=torch.float64)
    alpha = math.exp(np.trapezoid(bridge.f(t), t))
    assert float(bridge.alpha(t[-1])) == pytest.approx(alpha, rel=1e-7)
    variance = np.trapezoid(bridge.g(t) ** 2 / bridge.alpha(t) ** 2, t)
    assert float(bridge.sigma(t[-1])) ** 2 == pytest.approx(variance, rel=1e-7)


@pytest.mark.parametrize("bridge", BRIDGES.values(), ids=BRIDGES)
def test_bridges_end_where_they_should(bridge: NoiseSchedule) -> None:
    clean, noisy = torch.randn(2, 1, 3, 4), torch.randn(2, 1, 3, 4)
    ends = torch.tensor([0.0, bridge.time_max])
    torch.testing.assert_close(bridge.mean(clean, noisy, ends), torch.stack((clean[0], noisy[1])))
    # Near the last time the square root makes much of the rounding of a difference.
    torch.testing.assert_close(bridge.std(ends), torch.zeros(2), rtol=0, atol=2e-3)


@pytest.mark.parametrize("bridge", BRIDGES.values(), ids=BRIDGES)
def test_small_times_are_not_lost_in_rounding(bridge: NoiseSchedule) -> None:
    times = torch.tensor([1e-4, 1e-6])
    torch.testing.assert_close(bridge.sigma(times).double(), bridge.sigma(times.double()), rtol=1e-6, atol=0)
    process = OrnsteinUhlenbeckVESDE()
    torch.testing.assert_close(process.std(times).double(), process.std(times.double()), rtol=1e-6, atol=0)


@pytest.mark.parametrize("sigma_end", [1e-4, 0.3, 1.0])
def test_the_field_is_the_speed_along_the_path(sigma_end: float) -> None:
    process = OptimalTransportFlow(sigma_end=sigma_end)
    generator = torch.Generator().manual_seed(0)
    start, end, noise = torch.randn(3, 2, 1, 4, 5, dtype=torch.float64, generator=generator).unbind()

    def at(time: torch.Tensor) -> torch.Tensor:
        return process.mean(start, end, time) + process.std(time).reshape(2, 1, 1, 1) * noise

    times, step = TIMES.double(), 1e-4
    speed = (at(times + step) - at(times - step)) / (2 * step)
    found = process.vector_field(at(times), start, end, times)
    torch.testing.assert_close(found, speed, rtol=1e-5, atol=1e-5)


def test_random_states_have_the_spread_of_the_path() -> None:
    torch.manual_seed(0)
    process = OptimalTransportFlow()
    end = torch.full((2, 1, 100, 100), 0.5 - 0.2j)
    found = process.sample(torch.zeros_like(end), end, TIMES)
    for item, time in zip(found, TIMES, strict=True):
        assert complex(item.mean()) == pytest.approx(complex(time * (0.5 - 0.2j)), abs=0.03)
        assert float(item.std()) == pytest.approx(float(process.std(time)), rel=0.03)
    prior = OrnsteinUhlenbeckVESDE().prior(end, 1.0)
    assert complex(prior.mean()) == pytest.approx(0.5 - 0.2j, abs=0.01)
    assert float(prior.std()) == pytest.approx(0.3956, rel=0.03)


def test_random_times_fill_the_range_but_for_its_first_moment() -> None:
    torch.manual_seed(0)
    process = SBNoiseScheduleVE(time_min=0.0, time_max=0.5)
    times = process.generate_time(100_000, torch.device("cpu"))
    assert 0.0 < float(times.min()) < 1e-4
    assert 0.4999 < float(times.max()) <= 0.5
    assert float(times.mean()) == pytest.approx(0.25, abs=0.002)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OrnsteinUhlenbeckVESDE(time_min=0.0), "time_min should be positive, current value 0.0"),
        (lambda: OrnsteinUhlenbeckVESDE(stiffness=0.0), "stiffness should be positive, current value 0.0"),
        (lambda: OrnsteinUhlenbeckVESDE(std_min=0.0), "std_min should be positive, current value 0.0"),
        (
            lambda: OrnsteinUhlenbeckVESDE(std_max=0.01),
            "std_max should be larger than std_min, current max 0.01",
        ),
        (lambda: OptimalTransportFlow(time_max=2.0), "time_max should be at most 1, current value 2.0"),
        (lambda: OptimalTransportFlow(sigma_end=-1.0), "should be non-negative, current values 1.0, -1.0"),
        (lambda: SBNoiseScheduleVE(k=1.0), "Expected k > 1, got 1.0"),
        (lambda: SBNoiseScheduleVE(c=0.0), "Expected c > 0, got 0.0"),
        (lambda: SBNoiseScheduleVE(time_min=-1.0), "time_min should be non-negative, current value -1.0"),
        (
            lambda: SBNoiseScheduleVE(time_max=1e-5),
            "time_max should be larger than time_min, current max 1e-05",
        ),
        (lambda: SBNoiseScheduleVP(beta_0=-1.0), "Expected beta_0 >= 0, got -1.0"),
        (lambda: SBNoiseScheduleVP(beta_0=30.0), "Expected beta_0 < beta_1, got beta_0=30.0 and beta_1=20.0"),
        (lambda: SBNoiseScheduleVP(c=0.0), "Expected c > 0, got 0.0"),
    ],
)
def test_arguments_out_of_range(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        (
            "OrnsteinUhlenbeckVESDE",
            {"std_max": 0.01},
            r"expected std_max to be above std_min \(0.05\), but got 0.01",
        ),
        ("OrnsteinUhlenbeckVESDE", {"time_min": 0}, "greater than 0"),
        ("SBNoiseScheduleVE", {"k": 1}, "greater than 1"),
        ("SBNoiseScheduleVE", {"time_max": 1e-5}, r"expected time_max to be above time_min \(0.0001\)"),
        (
            "SBNoiseScheduleVP",
            {"beta_1": 0.001},
            r"expected beta_1 to be above beta_0 \(0.01\), but got 0.001",
        ),
        ("OptimalTransportFlow", {"time_max": 1.5}, "less than or equal to 1"),
        ("OptimalTransportFlow", {"sigma": 1}, "'sigma'"),
    ],
)
def test_configs_that_are_none(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        component("process", {"name": name, "config": config})


@pytest.mark.parametrize(
    ("name", "config"),
    [
        (
            "OrnsteinUhlenbeckVESDE",
            {"stiffness": 2.0, "std_min": 0.1, "std_max": 0.4, "time_min": 0.05, "time_max": 0.9},
        ),
        ("OptimalTransportFlow", {"sigma_start": 0.5, "sigma_end": 0.01, "time_min": 0.1, "time_max": 0.9}),
        ("SBNoiseScheduleVE", {"k": 3.0, "c": 0.2, "time_min": 0.01, "time_max": 0.9}),
        ("SBNoiseScheduleVP", {"beta_0": 0.1, "beta_1": 3.0, "c": 0.2, "time_min": 0.01, "time_max": 0.9}),
    ],
)
def test_configs_reach_their_processes(name: str, config: dict[str, float]) -> None:
    made = component("process", {"name": name, "config": config}).build()
    assert type(made).__name__ == name
    assert {key: getattr(made, key) for key in config} == config
