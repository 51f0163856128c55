from __future__ import annotations

import types
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nam_like.data.base import AbstractDataset, DataError, HandshakeError
from nam_like.data.concat import ConcatDataset, ConcatDatasetError
from nam_like.data.paired import PairedDataset
from nam_like.data.parametric import ParametricDataset


def paired(length: int, first: float = 0.0, **kwargs: Any) -> PairedDataset:
    x = first + torch.arange(float(length))
    return PairedDataset(x, -x, **{"nx": 3, "ny": 4, **kwargs})


@given(st.lists(st.integers(6, 40), min_size=1, max_size=5), st.data())
def test_indexing_is_that_of_the_joined_lists(lengths: list[int], data: st.DataObject) -> None:
    children = [paired(length, 1000.0 * n) for n, length in enumerate(lengths)]
    joined = ConcatDataset(children)
    items = [child[i] for child in children for i in range(len(child))]
    assert len(joined) == len(items)
    for i in range(-len(items), len(items)):
        assert torch.equal(joined[i][0], items[i][0])
    indices = data.draw(st.lists(st.integers(0, len(items) - 1), min_size=1, max_size=8))
    x, y = joined.batch(torch.tensor(indices))
    assert torch.equal(x, torch.stack([items[i][0] for i in indices]))
    assert torch.equal(y, torch.stack([items[i][1] for i in indices]))
    for outside in (len(items), -len(items) - 1):
        with pytest.raises(IndexError):
            joined[outside]
    with pytest.raises(IndexError):
        joined.batch(torch.tensor([len(items)]))


def test_lists_nest() -> None:
    inner = ConcatDataset([paired(20), paired(24, 100.0)])
    outer = ConcatDataset([inner, paired(28, 200.0)])
    assert list(outer.base_datasets()) == [*inner.datasets, outer.datasets[1]]
    x, _ = outer.batch(torch.tensor([len(outer) - 1, 0, 4]))
    assert x[:, 0].tolist() == [220.0, 0.0, 100.0]


def test_whole_recordings_may_differ_in_length() -> None:
    joined = ConcatDataset([paired(20, ny=None), paired(30, ny=None), paired(20, 5.0, ny=None)])
    assert (len(joined), joined.ny, joined.uniform_length) == (3, None, False)
    assert [joined[i][1].shape[0] for i in range(3)] == [18, 28, 18]
    assert joined.batch(torch.tensor([1]))[0].shape == (1, 30)
    assert joined.batch(torch.tensor([2, 0]))[0][:, 0].tolist() == [5.0, 0.0]
    with pytest.raises(DataError, match="use a batch_size of 1"):
        joined.batch(torch.tensor([0, 1]))
    assert ConcatDataset([paired(20, ny=None), paired(20, ny=None)]).uniform_length


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"nx": 4}, "same `nx`, but got 3 in entry 0 and 4 in entry 1"),
        ({"ny": 5}, "same `ny`, but got 4 in entry 0 and 5 in entry 1"),
        ({"ny": None}, "same `ny`, but got 4 in entry 0 and null in entry 1"),
        ({"sample_rate": 44100}, "same `sample_rate`, but got 48000 in entry 0 and 44100 in entry 1"),
    ],
)
def test_what_must_be_equal(other: dict[str, Any], message: str) -> None:
    with pytest.raises(ConcatDatasetError, match=message):
        ConcatDataset([paired(30, sample_rate=48000), paired(30, **{"sample_rate": 48000, **other})])


def test_an_empty_list() -> None:
    with pytest.raises(ConcatDatasetError, match="at least one dataset"):
        ConcatDataset([])


class Recorder(AbstractDataset):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return torch.tensor([index]), torch.tensor([index])

    def set_epoch(self, epoch: int) -> None:
        self.calls.append(("epoch", epoch))

    def handshake(self, net: Any) -> None:
        self.calls.append(("handshake", net))

    def scale_output(self, gain: float) -> None:
        self.calls.append(("scale", gain))

    def teardown(self) -> None:
        self.calls.append(("teardown",))


def test_every_child_is_told_everything() -> None:
    children = [Recorder(), Recorder(), Recorder()]
    joined = ConcatDataset([ConcatDataset(children[:2]), children[2]])
    joined.set_epoch(3)
    joined.handshake("net")
    joined.scale_output(0.5)
    joined.teardown()
    told = [("epoch", 3), ("handshake", "net"), ("scale", 0.5), ("teardown",)]
    assert [child.calls for child in children] == [told] * 3


def test_a_child_refuses_the_net() -> None:
    joined = ConcatDataset([paired(20), paired(20)])
    with pytest.raises(HandshakeError, match="receptive field, 9, but got 3"):
        joined.handshake(types.SimpleNamespace(receptive_field=9))


def knobbed(
    length: int, names: tuple[str, ...] = ("gain", "tone"), moving: bool = False
) -> ParametricDataset:
    x = torch.arange(float(length))
    values = torch.arange(1.0, 1.0 + len(names))
    knobs = values[:, None] * x if moving else values
    return ParametricDataset(x, x, knobs, knob_names=names, nx=3, ny=4)


def test_constant_knobs_run_along_where_others_move() -> None:
    joined = ConcatDataset([knobbed(20), knobbed(20, moving=True)])
    x, knobs, _ = joined.batch(torch.tensor([0, 5]))
    assert knobs.shape == (2, 2, 6)
    assert torch.equal(knobs[0], torch.tensor([[1.0], [2.0]]).expand(2, 6))
    assert torch.equal(knobs[1], torch.tensor([[1.0], [2.0]]) * x[1])
    still = ConcatDataset([knobbed(20), knobbed(20)])
    assert still.batch(torch.tensor([0, 5]))[1].shape == (2, 2)


def test_knob_names_must_agree() -> None:
    with pytest.raises(ConcatDatasetError, match=r"`condition_names`, but got \('gain', 'tone'\) in entry 0"):
        ConcatDataset([knobbed(20), knobbed(20, names=("bass", "gain"))])
    with pytest.raises(ConcatDatasetError, match="num_conditions"):
        ConcatDataset([knobbed(20), paired(20)])
