from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nam_like.config.component import component
from nam_like.data.adapters import PlainDataset
from nam_like.data.base import DataError
from nam_like.data.build import build_datasets
from nam_like.data.concat import ConcatDataset
from nam_like.data.hooks import NormalizeOutput
from nam_like.data.paired import PairedDataset
from nam_like.errors import UserError

FORMS = {
    "single": lambda entries: entries[0],
    "list of one": lambda entries: [entries[0]],
    "list": lambda entries: entries,
}


@pytest.mark.parametrize("train_form", FORMS)
@pytest.mark.parametrize("validation_form", FORMS)
def test_every_split_form_is_brought_to_the_level(
    train_form: str, validation_form: str, pair: dict[str, Any], make_spec: Callable[..., Any]
) -> None:
    def entries(start: int) -> list[dict[str, Any]]:
        return [
            {**pair, "start_samples": start, "stop_samples": start + 200, "y_scale": 0.1},
            {**pair, "start_samples": start + 200, "stop_samples": start + 300, "y_scale": 0.4},
        ]

    def plain(joint: Any) -> Any:
        return make_spec(FORMS[train_form](entries(0)), FORMS[validation_form](entries(500)), joint)

    before = build_datasets(plain([]), nx=3)
    hook = {"name": "normalize_output", "config": {"level_rms_dbfs": -24}}
    after = build_datasets(plain([hook]), nx=3)
    levelled = np.concatenate([d.y.numpy().astype(np.float64) for d in after.train.base_datasets()])
    assert 20 * math.log10(math.sqrt(np.mean(levelled**2))) == pytest.approx(-24, abs=1e-5)
    assert before.output_gain == 1.0
    for split in ("train", "validation"):
        old, new = getattr(before, split).base_datasets(), getattr(after, split).base_datasets()
        for one, other in zip(old, new, strict=True):
            assert other.output_gain == after.output_gain
            torch.testing.assert_close(other.y / after.output_gain, one.y)
            assert torch.equal(other.x, one.x)
        assert isinstance(
            getattr(after, split),
            ConcatDataset
            if "list" in (train_form if split == "train" else validation_form)
            else PairedDataset,
        )


def test_the_default_level_and_the_other_name() -> None:
    assert component("hook", "normalize_output").build().level_rms_dbfs == -18.0
    other = component("hook", {"name": "normalize_joint_dataset_output", "kwargs": {"level_rms_dbfs": -20}})
    assert other.build().level_rms_dbfs == -20.0


def dataset(y: torch.Tensor) -> PairedDataset:
    return PairedDataset(torch.ones_like(y), y, nx=1, ny=2)


def test_one_dataset_in_both_splits_is_scaled_once() -> None:
    both = dataset(torch.full((10,), 0.5))
    NormalizeOutput(0.0).apply(both, ConcatDataset([both, dataset(torch.full((10,), 0.25))]))
    assert both.output_gain == 2.0
    assert torch.equal(both.y, torch.ones(10))


class OnlyItems:
    """The least a plugin's dataset can be."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return torch.zeros(4), torch.zeros(2)


class WithOutput(OnlyItems):
    """Has an output but cannot scale it."""

    y = torch.ones(5)


class Scalable(WithOutput):
    """Has what the hook needs."""

    def scale_output(self, gain: float) -> None:
        self.y = self.y * gain


def test_a_plugins_dataset_is_scaled_if_it_can_be() -> None:
    plugin = PlainDataset(Scalable())
    NormalizeOutput(20 * math.log10(0.5)).apply(plugin, plugin)
    assert plugin.output_gain == pytest.approx(0.5)
    torch.testing.assert_close(plugin.y, torch.full((5,), 0.5))


def emptied() -> PairedDataset:
    emptied = dataset(torch.ones(10))
    emptied.y = torch.zeros(0)
    return emptied


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (lambda: dataset(torch.zeros(10)), "all 10 samples are zero"),
        (lambda: dataset(torch.tensor([1.0, math.nan, 1.0])), "got NaN or infinity"),
        (lambda: PlainDataset(OnlyItems()), "with a tensor `y` .* but OnlyItems has none"),
        (lambda: PlainDataset(WithOutput()), "but WithOutput has no scale_output"),
        (emptied, "got no samples"),
    ],
)
def test_what_cannot_be_normalised(train: Callable[[], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        NormalizeOutput().apply(train(), dataset(torch.ones(10)))


class Halve:
    """A hook given by its import path."""

    def __init__(self, factor: float = 0.5, only_train: bool = False) -> None:
        self.factor, self.only_train = factor, only_train

    def apply(self, train: Any, validation: Any) -> None:
        for split in (train,) if self.only_train else (train, validation):
            split.scale_output(self.factor)


def make_halve(factor: float) -> Halve:
    """A factory of hooks."""
    return Halve(factor)


def not_a_hook() -> dict[str, int]:
    """A factory of something else."""
    return {}


def hook_entry(name: str, **config: Any) -> Any:
    """A component as an import path gives it; the tests' modules are not importable by a stable name."""
    from nam_like.config.component import Component
    from nam_like.config.signature import config_from_callable
    from nam_like.registry import Entry

    target = globals()[name]
    return Component(
        Entry("hook", f"plugin.{name}", target), config_from_callable(target).model_validate(config)
    )


def with_hooks(data: Any, *hooks: Any) -> Any:
    data.joint = list(hooks)
    return data


def test_custom_hooks(pair: dict[str, Any], make_spec: Callable[..., Any]) -> None:
    data = make_spec({**pair, "stop_samples": 500}, {**pair, "start_samples": 500})
    built = build_datasets(with_hooks(data, hook_entry("Halve"), hook_entry("make_halve", factor=0.25)), nx=1)
    assert built.output_gain == 0.125
    with pytest.raises(
        UserError, match=r"joint\[0\]: expected the hook 'plugin.not_a_hook' to have a method apply"
    ):
        build_datasets(with_hooks(data, hook_entry("not_a_hook")), nx=1)
    with pytest.raises(DataError, match=r"by one gain, which exports undo, but got 0\.5, 1"):
        build_datasets(with_hooks(data, hook_entry("Halve", only_train=True)), nx=1)
