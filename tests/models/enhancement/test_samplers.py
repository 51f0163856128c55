"""Samplers with estimators that know the answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from nam_like.config.component import component
from nam_like.models.enhancement.processes.bridge import NoiseSchedule, SBNoiseScheduleVE, SBNoiseScheduleVP
from nam_like.models.enhancement.processes.flow import OptimalTransportFlow
from nam_like.models.enhancement.processes.ouve import OrnsteinUhlenbeckVESDE
from nam_like.models.enhancement.samplers.base import Sampler
from nam_like.models.enhancement.samplers.bridge import SBSampler
from nam_like.models.enhancement.samplers.euler import ConditionalFlowMatchingEulerSampler
from nam_like.models.enhancement.samplers.predictor_corrector import PredictorCorrectorSampler

BRIDGES = {"ve": SBNoiseScheduleVE(), "vp": SBNoiseScheduleVP()}

Estimator = Callable[[Tensor, float], Tensor]


def run(sampler: Sampler, estimator: Estimator, noisy: Tensor, evaluations: int | None = None) -> Tensor:
    """All evaluations of a sampler, or its first ones."""
    state = sampler.start(noisy)
    for i in range(sampler.evaluations if evaluations is None else evaluations):
        state = sampler.update(i, state, estimator(state, sampler.time(i)), noisy)
    return state


class Gaussian:
    """Clean spectrograms that are complex Gaussian: their scores, and what a sampler makes of them.

    Everything is linear, so that mean and variance of the sampler's states follow from those before.
    """

    mean, variance, noisy = 0.3 - 0.2j, 0.04, 0.1 + 0.1j

    def __init__(self, process: OrnsteinUhlenbeckVESDE) -> None:
        self.process = process

    def at(self, time: float) -> tuple[complex, float]:
        weight = math.exp(-self.process.stiffness * time)
        std = float(self.process.std(torch.tensor(time, dtype=torch.float64)))
        return weight * self.mean + (1 - weight) * self.noisy, weight**2 * self.variance + std**2

    def score(self, state: Tensor, time: float) -> Tensor:
        mean, variance = self.at(time)
        return -(state - mean) / variance

    def expected(self, steps: int, corrections: int, snr: float, last_noise: bool) -> tuple[complex, float]:
        first, last = self.process.time_max, self.process.time_min
        mean, variance = self.noisy, float(self.process.std(torch.tensor(first))) ** 2
        dt = first / steps
        for k in range(steps):
            time = torch.tensor(first + (last - first) * k / (steps - 1), dtype=torch.float64)
            at_mean, at_variance = self.at(float(time))
            size = 2 * (snr * float(self.process.std(time))) ** 2
            for _ in range(corrections):
                pull = size / at_variance
                mean = mean - pull * (mean - at_mean)
                variance = (1 - pull) ** 2 * variance + 2 * size
            noise = float(self.process.diffusion(time)) ** 2 * dt
            kept = 1 + self.process.stiffness * dt - noise / at_variance
            mean = kept * mean - self.process.stiffness * dt * self.noisy + noise * at_mean / at_variance
            variance = kept**2 * variance + (noise if last_noise or k < steps - 1 else 0.0)
        return mean, variance


@pytest.mark.parametrize(
    ("steps", "corrections", "output"), [(50, 1, "mean"), (50, 1, "state"), (30, 0, "state"), (20, 2, "mean")]
)
def test_the_corrected_diffusion_finds_a_gaussian(steps: int, corrections: int, output: str) -> None:
    torch.manual_seed(0)
    process = OrnsteinUhlenbeckVESDE()
    target = Gaussian(process)
    sampler = PredictorCorrectorSampler(
        process, num_steps=steps, num_corrector_steps=corrections, snr=0.4, output_type=output
    )
    assert sampler.evaluations == steps * (1 + corrections)
    noisy = torch.full((1, 1, 200, 200), target.noisy, dtype=torch.complex64)
    found = run(sampler, target.score, noisy)
    mean, variance = target.expected(steps, corrections, 0.4, output == "state")
    assert complex(found.mean()) == pytest.approx(mean, abs=4 * math.sqrt(variance / 40_000))
    assert float(found.var()) == pytest.approx(variance, rel=0.03)
    # The steps are finite, and the last leaves a little noise; it is the target nevertheless.
    assert mean == pytest.approx(target.mean, abs=0.05)
    assert variance == pytest.approx(target.variance, rel=0.35)


def test_more_steps_come_nearer() -> None:
    process = OrnsteinUhlenbeckVESDE(time_min=1e-3)
    target = Gaussian(process)
    off = []
    for steps in (30, 300, 3000):
        mean, variance = target.expected(steps, 1, 0.3, last_noise=True)
        off.append(abs(mean - target.mean) + abs(variance - target.variance))
    assert off[0] > off[1] > off[2]
    assert off[2] < 0.01


def test_the_mean_leaves_out_the_noise_of_the_last_step_only() -> None:
    process = OrnsteinUhlenbeckVESDE()
    target = Gaussian(process)
    noisy = torch.full((1, 1, 100, 100), target.noisy, dtype=torch.complex64)
    made = {}
    for output in ("mean", "state"):
        torch.manual_seed(1)
        made[output] = run(
            PredictorCorrectorSampler(process, num_steps=5, output_type=output), target.score, noisy
        )
    noise = float(process.diffusion(torch.tensor(process.time_min))) * math.sqrt(process.time_max / 5)
    assert float((made["state"] - made["mean"]).std()) == pytest.approx(noise, rel=0.03)


def ends(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clean, noisy = torch.randn(2, 2, 1, 5, 7, dtype=torch.complex64, generator=generator).unbind()
    return clean, noisy


@pytest.mark.parametrize("path", ["sde", "ode"])
@pytest.mark.parametrize("told", ["previous", "current"])
@pytest.mark.parametrize("bridge", BRIDGES.values(), ids=BRIDGES)
def test_a_bridge_with_an_estimator_that_knows_leads_to_the_clean_end(
    bridge: NoiseSchedule, told: str, path: str
) -> None:
    torch.manual_seed(0)
    clean, noisy = ends()
    sampler = SBSampler(bridge, num_steps=12, path=path, estimator_time=told, time_min=1e-10)
    torch.testing.assert_close(run(sampler, lambda *_: clean, noisy), clean, rtol=0, atol=1e-3)


@pytest.mark.parametrize("bridge", BRIDGES.values(), ids=BRIDGES)
def test_states_on_the_way_back_are_those_of_the_bridge(bridge: NoiseSchedule) -> None:
    torch.manual_seed(0)
    clean = torch.full((1, 1, 200, 200), 0.8 - 0.3j)
    noisy = torch.full_like(clean, -0.4 + 0.7j)
    half = torch.tensor([0.4])
    mean, std = bridge.mean(clean, noisy, half)[0, 0, 0, 0], float(bridge.std(half))
    smooth = SBSampler(bridge, num_steps=10, path="ode", time_min=0.0)
    torch.testing.assert_close(run(smooth, lambda *_: clean, noisy, 6)[0, 0, 0, 0], mean)
    rough = run(SBSampler(bridge, num_steps=10, path="sde", time_min=0.0), lambda *_: clean, noisy, 6)
    assert complex(rough.mean()) == pytest.approx(complex(mean), abs=4 * std / 200)
    assert float(rough.std()) == pytest.approx(std, rel=0.03)


@pytest.mark.parametrize("bridge", BRIDGES.values(), ids=BRIDGES)
def test_a_smooth_step_has_the_weights_of_the_paper(bridge: NoiseSchedule) -> None:
    """Jukić et al. 2024, the update of the ordinary differential equation, written out."""
    clean, noisy = ends(1)
    state = ends(2)[0]
    sampler = SBSampler(bridge, num_steps=10, path="ode", time_min=0.0)
    p, t = (torch.tensor(value, dtype=torch.float64) for value in (0.7, 0.6))
    a_p, a_t, s_p, s_t = bridge.alpha(p), bridge.alpha(t), bridge.sigma(p), bridge.sigma(t)
    b_p, b_t, top = bridge.sigma_bar(p), bridge.sigma_bar(t), bridge.sigma_max**2
    expected = (
        a_t * s_t * b_t / (a_p * s_p * b_p) * state
        + a_t / top * (b_t**2 - b_p * s_t * b_t / s_p) * clean
        + a_t / (bridge.alpha_max * top) * (s_t**2 - s_p * s_t * b_t / b_p) * noisy
    )
    found = sampler.update(3, state, clean, noisy)
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize("steps", [1, 20])
def test_a_flow_with_the_exact_field_ends_at_the_clean_end(steps: int, data: bool) -> None:
    torch.manual_seed(0)
    process = OptimalTransportFlow(sigma_end=0.01)
    clean, noisy = ends()
    sampler = ConditionalFlowMatchingEulerSampler(process, num_steps=steps, estimates_data=data)

    def field(state: Tensor, time: float) -> Tensor:
        return process.vector_field(state, torch.zeros_like(state), clean, torch.full((2,), time))

    torch.manual_seed(3)
    start = sampler.start(noisy)
    torch.manual_seed(3)
    found = run(sampler, (lambda *_: clean) if data else field, noisy)
    torch.testing.assert_close(found, clean + 0.01 * start, rtol=0, atol=2e-5)


def test_times_that_estimators_are_told() -> None:
    def times(sampler: Sampler) -> list[float]:
        return [round(sampler.time(i), 6) for i in range(sampler.evaluations)]

    process = OrnsteinUhlenbeckVESDE(time_min=0.1)
    assert times(PredictorCorrectorSampler(process, num_steps=4)) == [1.0, 1.0, 0.7, 0.7, 0.4, 0.4, 0.1, 0.1]
    assert times(PredictorCorrectorSampler(process, num_steps=1, num_corrector_steps=0)) == [1.0]
    bridge = SBNoiseScheduleVE(time_min=0.2)
    assert times(SBSampler(bridge, num_steps=4)) == [1.0, 0.8, 0.6, 0.4]
    assert times(SBSampler(bridge, num_steps=4, estimator_time="current")) == [0.8, 0.6, 0.4, 0.2]
    assert times(SBSampler(bridge, num_steps=2, time_min=0.1, time_max=0.9)) == [0.9, 0.5]
    flow = OptimalTransportFlow(time_min=0.2)
    assert times(ConditionalFlowMatchingEulerSampler(flow, num_steps=4)) == [0.2, 0.4, 0.6, 0.8]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: PredictorCorrectorSampler(OrnsteinUhlenbeckVESDE(), output_type="x"),
            "Unexpected output type: x",
        ),
        (
            lambda: PredictorCorrectorSampler(OrnsteinUhlenbeckVESDE(), time_min=0.0),
            "time_min should be positive",
        ),
        (
            lambda: PredictorCorrectorSampler(OrnsteinUhlenbeckVESDE(), num_steps=0),
            "Expected num_steps > 0, got 0",
        ),
        (lambda: SBSampler(SBNoiseScheduleVE(), path="pde"), "Unexpected process: pde"),
        (lambda: SBSampler(SBNoiseScheduleVE(), estimator_time="later"), "Unexpected estimator time: later"),
        (lambda: SBSampler(SBNoiseScheduleVE(), estimator_time="current", time_min=0.0), "time_min above 0"),
        (
            lambda: SBSampler(SBNoiseScheduleVE(), time_max=2.0),
            r"at most that of the bridge \(1.0\), but got 2.0",
        ),
        (lambda: SBSampler(SBNoiseScheduleVE(), time_min=2.0), "current max 1.0 and min 2.0"),
        (lambda: ConditionalFlowMatchingEulerSampler(OptimalTransportFlow(), time_max=1.5), "at most 1"),
        (
            lambda: ConditionalFlowMatchingEulerSampler(OptimalTransportFlow(), time_min=0.0),
            "should be positive",
        ),
    ],
)
def test_arguments_out_of_range(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("PredictorCorrectorSampler", {"predictor": "euler"}, "reverse_diffusion"),
        ("PredictorCorrectorSampler", {"num_steps": 0}, "greater than 0"),
        ("SBSampler", {"process": "pde"}, "'sde' or 'ode'"),
        ("SBSampler", {"time_min": 0.5, "time_max": 0.4}, r"expected time_max to be above time_min \(0.5\)"),
        ("ConditionalFlowMatchingEulerSampler", {"time_max": 2}, "less than or equal to 1"),
    ],
)
def test_configs_that_are_none(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        component("sampler", {"name": name, "config": config})


def test_configs_reach_their_samplers() -> None:
    made = component(
        "sampler",
        {
            "name": "PredictorCorrectorSampler",
            "config": {
                "num_steps": 7,
                "num_corrector_steps": 2,
                "snr": 0.3,
                "output_type": "state",
                "time_min": 0.1,
            },
        },
    ).build(OrnsteinUhlenbeckVESDE())
    assert (made.num_steps, made.num_corrector_steps, made.snr, made.output_mean) == (7, 2, 0.3, False)
    assert (made.time_min, made.time_max) == (0.1, 1.0)
    made = component(
        "sampler", {"name": "SBSampler", "config": {"process": "ode", "estimator_time": "current"}}
    ).build(SBNoiseScheduleVE())
    assert (made.stochastic, made.tells_current, made.num_steps) == (False, True, 50)
    made = component("sampler", {"name": "ConditionalFlowMatchingEulerSampler", "config": {}}).build(
        OptimalTransportFlow(), estimates_data=True
    )
    assert (made.num_steps, made.estimates_data) == (5, True)
