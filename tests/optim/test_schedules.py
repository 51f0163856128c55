"""Schedules of steps against their formulas, by hand where numbers are round."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from nam_like.config.component import component
from nam_like.config.model import steps_argument
from nam_like.optim.build import OptimizerError, Schedule, build_scheduler
from nam_like.registry import SCHEDULERS

NAMES = [e.name for e in SCHEDULERS.entries() if e.target_path.startswith("nam_like.optim.schedules")]


def sgd(*rates: float) -> torch.optim.SGD:
    return torch.optim.SGD(
        [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (0.1,)]
    )


def make(name: str, optimizer: torch.optim.Optimizer, **config: Any) -> Any:
    return component("lr_scheduler", {"name": name, "config": config}).build(optimizer=optimizer)


def rates(name: str, steps: int, base: float = 0.1, **config: Any) -> list[float]:
    """The rate of each step, as torch sets it."""
    optimizer = sgd(base)
    scheduler = make(name, optimizer, **config)
    found = []
    for _ in range(steps):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return found


def rise(base: float, warmup: int) -> list[float]:
    return [base * (n + 1) / (warmup + 1) for n in range(warmup + 1)]


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("WarmupPolicy", {"warmup_steps": 4, "max_steps": 6, "min_lr": 0.01},
         [0.02, 0.04, 0.06, 0.08, 0.1, 0.1, 0.1, 0.01, 0.01]),
        ("WarmupPolicy", {"warmup_ratio": 0.5, "max_steps": 4}, [0.1 / 3, 0.2 / 3, 0.1, 0.1, 0.1, 0.0]),
        ("WarmupPolicy", {}, [0.1, 0.1, 0.1]),
        ("WarmupHoldPolicy", {"warmup_steps": 1, "hold_steps": 2, "max_steps": 4},
         [0.05, 0.1, 0.1, 0.1, 0.1, 0.0]),
        ("WarmupAnnealing", {"warmup_steps": 1, "max_steps": 5, "min_lr": 0.02},
         [0.05, 0.1, 0.08, 0.06, 0.04, 0.02, 0.02]),
        ("CosineAnnealing", {"max_steps": 4},
         [0.1, 0.05 * (1 + 0.5**0.5), 0.05, 0.05 * (1 - 0.5**0.5), 0.0, 0.0]),
        ("CosineAnnealing", {"warmup_steps": 1, "max_steps": 3, "min_lr": 0.02},
         [0.05, 0.1, 0.06, 0.02, 0.02]),
        ("CosineAnnealing", {"warmup_steps": 2, "constant_steps": 2, "max_steps": 6, "min_lr": 0.02},
         [0.0, 0.05, 0.1, 0.06, 0.02, 0.02, 0.02, 0.02]),
        ("CosineAnnealing", {"constant_ratio": 0.5, "max_steps": 4}, [0.1, 0.05, 0.0, 0.0]),
        ("NoamAnnealing", {"d_model": 4, "warmup_steps": 4}, [0.00625, 0.00625, 0.0125, 0.01875, 0.025,
         0.05 / 5**0.5, 0.05 / 6**0.5]),
        ("NoamAnnealing", {"d_model": 4, "min_lr": 0.03}, [0.05, 0.05, 0.05 / 2**0.5, 0.03, 0.03]),
        ("InverseSquareRootAnnealing", {"warmup_steps": 3, "max_steps": 15},
         [0.025, 0.05, 0.075, 0.1, *(0.1 * math.sqrt(4 / (n + 1)) for n in range(4, 16)), 0.0]),
        ("SquareAnnealing", {"warmup_steps": 1, "max_steps": 5},
         [0.05, 0.1, 0.05625, 0.025, 0.00625, 1e-5, 1e-5]),
        ("SquareRootAnnealing", {"max_steps": 4, "min_lr": 0.06},
         [0.1, 0.1 * 0.75**0.5, 0.1 * 0.5**0.5, 0.06, 0.06, 0.06]),
        ("PolynomialDecayAnnealing", {"warmup_steps": 1, "max_steps": 5, "power": 2, "min_lr": 0.02},
         [0.05, 0.1, 0.02 + 0.08 * 0.5625, 0.04, 0.02 + 0.08 * 0.0625, 0.02, 0.02]),
        ("PolynomialDecayAnnealing", {"max_steps": 2, "cycle": True}, [0.1, 0.05, 0.0, 0.025, 0.0, 0.1 / 6]),
        ("PolynomialHoldDecayAnnealing", {"warmup_steps": 1, "hold_steps": 2, "max_steps": 5},
         [0.05, 0.1, 0.1, 0.1, 0.05, 0.0, 0.0]),
        ("PolynomialHoldDecayAnnealing", {"warmup_steps": 1, "max_steps": 3}, [0.05, 0.1, 0.05, 0.0]),
    ],
)  # fmt: skip
def test_rates_by_hand(name: str, config: dict[str, Any], expected: list[float]) -> None:
    assert rates(name, len(expected), **config) == pytest.approx(expected, abs=1e-12)


LONG: dict[str, Callable[[float], float]] = {
    "CosineAnnealing": lambda x: 0.5 * (1 + math.cos(math.pi * x)),
    "WarmupAnnealing": lambda x: 1 - x,
    "SquareAnnealing": lambda x: (1 - x) ** 2,
    "PolynomialDecayAnnealing": lambda x: 1 - x,
}


@pytest.mark.parametrize("name", LONG)
def test_a_long_run_follows_its_curve(name: str) -> None:
    found = rates(name, 400, warmup_steps=37, max_steps=400, min_lr=0)
    curve = [0.1 * LONG[name]((n - 37) / 363) for n in range(37, 400)]
    assert found == pytest.approx(rise(0.1, 37)[:-1] + curve, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_each_group_has_its_own_rate_and_a_saved_one_goes_on(name: str) -> None:
    config = {"warmup_steps": 3, "max_steps": 12} | ({"d_model": 9} if name.startswith("Noam") else {})
    optimizer, again = sgd(0.1, 0.2), sgd(0.1, 0.2)
    scheduler = make(name, optimizer, **config)
    for step in range(12):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert second == pytest.approx(2 * first)
        if step == 5:
            resumed = make(name, again, **config)
            resumed.load_state_dict(scheduler.state_dict())
            again.load_state_dict(optimizer.state_dict())
        if step >= 5:
            assert [g["lr"] for g in again.param_groups] == [first, second]
            again.step()
            resumed.step()
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_shorter_than_its_warm_up_only_rises(name: str) -> None:
    config = {"d_model": 1} if name.startswith("Noam") else {}
    found = rates(name, 5, warmup_steps=100, max_steps=5, **config)
    assert found == sorted(found)
    assert 0 < found[0] <= found[-1] < 0.1


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("CosineAnnealing", {}, "expected `max_steps` for a rate that falls, but got none"),
        ("PolynomialHoldDecayAnnealing", {"warmup_steps": 1}, "expected `max_steps`"),
        ("WarmupPolicy", {"warmup_ratio": 0.1}, "expected `max_steps` for `warmup_ratio`, but got none"),
        ("WarmupPolicy", {"warmup_steps": 5, "warmup_ratio": 0.1, "max_steps": 9}, "but got both: 5 and 0.1"),
        (
            "WarmupHoldPolicy",
            {"hold_steps": 5, "hold_ratio": 0.1, "max_steps": 9},
            "`hold_steps` or `hold_ratio`",
        ),
        (
            "CosineAnnealing",
            {"max_steps": 5, "min_lr": 0.5},
            "`min_lr` to be at most the rate 0.1, but got 0.5",
        ),
        ("NoamAnnealing", {"d_model": 5, "min_lr": 0.5}, "`min_lr` to be at most the rate 0.1, but got 0.5"),
    ],
)
def test_what_excludes_each_other_is_refused(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, sgd(), **config)
    schedule = Schedule(component("lr_scheduler", {"name": name, "config": config}), "epoch")
    with pytest.raises(OptimizerError, match=f"model.lr_scheduler.*{message}"):
        build_scheduler(schedule, sgd())


@pytest.mark.parametrize(
    ("name", "config"),
    [("WarmupPolicy", {"warmup_ratio": 1.5}), ("NoamAnnealing", {}), ("CosineAnnealing", {"max_steps": 0}),
     ("CosineAnnealing", {"optimizer": 1}), ("SquareAnnealing", {"power": 2})],
)  # fmt: skip
def test_configs_that_are_refused(name: str, config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        component("lr_scheduler", {"name": name, "config": config})


@pytest.mark.parametrize(
    ("config", "interval", "argument"),
    [({}, "step", "max_steps"), ({"max_steps": None}, "step", "max_steps"), ({"max_steps": 5}, "step", ""),
     ({}, "epoch", "")],
)  # fmt: skip
def test_who_says_how_many_steps_there_are(config: dict[str, Any], interval: str, argument: str) -> None:
    scheduler = component("lr_scheduler", {"name": "CosineAnnealing", "config": config})
    assert steps_argument(scheduler, interval) == argument


def test_the_run_does_and_a_config_may() -> None:
    cosine = component("lr_scheduler", "CosineAnnealing")
    assert build_scheduler(Schedule(cosine, "step"), sgd(), 60)["scheduler"].max_steps == 60
    assert build_scheduler(Schedule(cosine, "step", 3), sgd(), 60)["scheduler"].max_steps == 20
    own = component("lr_scheduler", {"name": "CosineAnnealing", "config": {"max_steps": 7}})
    assert build_scheduler(Schedule(own, "step"), sgd(), 60)["scheduler"].max_steps == 7


def test_torch_has_nothing_to_complain_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rates("CosineAnnealing", 3, max_steps=3)
