"""Batches of streams: limits, workers, processes, and going on in the middle of an epoch."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from nam_like.data import stream_loader
from nam_like.data.base import DataError
from nam_like.data.speech_batch import Example
from nam_like.data.stream_loader import BatchLimits, StreamLoader, groups


class Numbers:
    """Examples whose first sample tells epoch, slot and number; `loaded` counts them."""

    sample_rate: float | None = 10.0

    def __init__(self) -> None:
        self.loaded = 0

    def stream(self, slot: int, slots: int, epoch: int) -> Iterator[Example]:
        for number in itertools.count():
            self.loaded += 1
            value = float(epoch * 10000 + (number * slots + slot))
            yield Example(str(value), {"input_signal": torch.full((1, 10 + number % 3), value)})


class Plan:
    def __init__(self, value: int) -> None:
        self.value = value
        self.seconds = 1.0


class Planned(Numbers):
    """The same, but examples are made later."""

    def plans(self, slot: int, slots: int, epoch: int) -> Iterator[Plan]:
        return (Plan(epoch * 10000 + number * slots + slot) for number in itertools.count())

    def load(self, plan: Plan) -> Example:
        self.loaded += 1
        return Example(str(plan.value), {"input_signal": torch.full((1, 10), float(plan.value))})


def values(loader: Any, number: int) -> list[list[int]]:
    return [batch["input_signal"][:, 0, 0].long().tolist() for batch in itertools.islice(loader, number)]


def test_batches_in_order() -> None:
    loader = StreamLoader(Numbers(), 3)
    assert values(loader, 3) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    (batch,) = itertools.islice(loader, 1)
    assert batch["input_signal"].shape == (3, 1, 12)
    assert batch["input_length"].tolist() == [10, 11, 12]
    assert not hasattr(loader, "__len__")


def test_epochs_differ_and_can_be_repeated() -> None:
    loader = StreamLoader(Numbers(), 2)
    loader.set_epoch(1)
    assert values(loader, 1) == values(loader, 1) == [[10000, 10001]]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker")
@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("dataset", [Numbers, Planned])
def test_it_goes_on_where_it_was(workers: int, dataset: Any) -> None:
    loader = StreamLoader(dataset(), 2, num_workers=workers)
    loader.set_epoch(4)
    whole = values(loader, 9)
    assert len({value for batch in whole for value in batch}) == 18
    for taken in (0, 4, 5):
        loader.set_epoch(4, 0)
        values(loader, taken)
        state = pickle.loads(pickle.dumps(loader.state_dict()))
        assert state == {"epoch": 4, "batch": taken}
        fresh = StreamLoader(dataset(), 2, num_workers=workers)
        fresh.load_state_dict(state)
        assert fresh.state_dict() == state
        fresh.set_epoch(4)  # as a trainer does that resumes
        assert values(fresh, 9 - taken) == whole[taken:]


def test_nothing_is_made_that_was_had_before() -> None:
    dataset = Planned()
    loader = StreamLoader(dataset, 4)
    loader.set_epoch(0, 100)
    assert values(loader, 1) == [[400, 401, 402, 403]]
    assert dataset.loaded == 4


def test_workers_outlive_epochs() -> None:
    loader = StreamLoader(Numbers(), 2, num_workers=2)
    first = values(loader, 4)
    loader.set_epoch(1)
    second = values(loader, 4)
    assert [[value + 10000 for value in batch] for batch in first] == second
    assert sorted(value for batch in first for value in batch) == list(range(8))


def test_processes_get_different_examples(monkeypatch: Any) -> None:
    found = []
    for rank in range(2):
        monkeypatch.setattr(stream_loader, "world", lambda rank=rank: (rank, 2))
        found += values(StreamLoader(Numbers(), 2, num_workers=2), 4)
    assert sorted(value for batch in found for value in batch) == list(range(16))


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        (BatchLimits(3), [3, 3, 2]),
        (BatchLimits(None, 4.0), [3, 1, 1, 1, 2]),
        (BatchLimits(2, 9.0), [2, 2, 2, 2]),
        (BatchLimits(None, 6.0, 2.0), [3, 1, 1, 1, 2]),
        (BatchLimits(None, 0.1), [1] * 8),
    ],
)
def test_limits_of_batches(limits: BatchLimits, sizes: list[int]) -> None:
    seconds = [1.0, 1.2, 1.0, 2.0, 4.0, 3.0, 1.0, 1.0]
    made = list(groups(seconds, limits, lambda item: item))
    assert [item for group in made for item in group] == seconds
    assert [len(group) for group in made] == sizes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "Batch size is not configured"),
        ({"batch_size": 0}, "expected `batch_size` to be positive, but got 0"),
        ({"batch_duration": -1.0}, "expected `batch_duration` to be positive"),
        ({"batch_size": 2, "quadratic_duration": 1.0}, "beside `batch_duration`"),
    ],
)
def test_limits_that_cannot_be(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        StreamLoader(Numbers(), **arguments)
