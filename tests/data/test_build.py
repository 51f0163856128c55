from __future__ import annotations

import logging
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from nam_like import data as nam_data
from nam_like.config.component import component
from nam_like.config.data import DataConfig
from nam_like.data.adapters import PlainDataset, as_dataset, normalise_item
from nam_like.data.base import DataError, DatasetContext, HandshakeError
from nam_like.data.build import build_dataset, build_datasets, init_dataset, register_dataset_initializer
from nam_like.data.concat import ConcatDataset
from nam_like.data.paired import PairedDataset
from nam_like.data.parametric import ParametricDataset
from nam_like.data.store import AudioStore
from nam_like.errors import UserError
from nam_like.registry import DATASETS, DuplicateNameError


def test_a_data_json_becomes_two_datasets(pair: dict[str, Any]) -> None:
    config = DataConfig.model_validate(
        {
            "train": [{"stop_samples": 400, "ny": 20}, {"start_samples": 400, "stop_samples": 700, "ny": 20}],
            "validation": {"start_samples": 700},
            "common": {**pair, "delay": 2},
            "joint": [{"name": "normalize_output"}],
        }
    )
    store = AudioStore()
    built = build_datasets(config, nx=10, store=store)
    assert isinstance(built.train, ConcatDataset)
    assert isinstance(built.validation, PairedDataset)
    assert len(built.train) == (398 - 9) // 20 + (298 - 9) // 20
    assert built.validation[0][1].shape == (300 - 2 - 9,)
    assert built.output_gain != 1.0
    assert len(store) == 2


def test_a_list_of_one_is_still_a_list(pair: dict[str, Any], make_spec: Callable[..., Any]) -> None:
    built = build_datasets(make_spec([{**pair, "stop_samples": 500}], {**pair, "start_samples": 500}), nx=1)
    assert isinstance(built.train, ConcatDataset)
    assert isinstance(built.validation, PairedDataset)


def test_entries_of_a_list_draw_different_offsets(
    pair: dict[str, Any], make_spec: Callable[..., Any]
) -> None:
    entry = {**pair, "ny": 10, "random_offset": True}
    data = make_spec([entry, entry], {**pair, "start_samples": 900})

    def starts(seed: int) -> list[list[int]]:
        train = build_datasets(data, nx=1, seed=seed).train
        return [child.starts(torch.arange(20)).tolist() for child in train.base_datasets()]  # type: ignore[attr-defined]

    one, other = starts(1)
    assert one != other
    assert starts(1) == [one, other]
    assert starts(2)[0] != one


def test_the_message_begins_with_the_entry(pair: dict[str, Any], make_spec: Callable[..., Any]) -> None:
    good, bad = {**pair, "stop_samples": 500}, {**pair, "start_samples": 5000}
    with pytest.raises(UserError, match=r"^train\[1\]: expected `start_samples` to be from -1000 to 999"):
        build_datasets(make_spec([good, bad], good), nx=1)
    with pytest.raises(UserError, match=r"^validation: expected `start_samples`"):
        build_datasets(make_spec(good, bad), nx=1)
    with pytest.raises(UserError, match=r"^train: expected datasets of a list to have the same `ny`"):
        build_datasets(make_spec([good, {**good, "ny": 5}], good), nx=1)


def test_both_splits_have_one_rate(
    pair: dict[str, Any], wav: Callable[..., Path], make_spec: Callable[..., Any]
) -> None:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 500)
    other = {"x_path": str(wav("ox.wav", noise, 16000)), "y_path": str(wav("oy.wav", noise, 16000))}
    with pytest.raises(DataError, match="training sample rate, 8000 Hz, but got 16000 Hz"):
        build_datasets(make_spec(pair, other, [{"name": "normalize_output"}]), nx=1)


def test_both_splits_have_the_same_knobs(pair: dict[str, Any], make_spec: Callable[..., Any]) -> None:
    one = {**pair, "type": "parametric", "knobs": {"gain": 1}, "stop_samples": 500}
    other = {**pair, "type": "parametric", "knobs": {"drive": 1}, "start_samples": 500}
    with pytest.raises(DataError, match="training data's knobs, gain, but got drive"):
        build_datasets(make_spec(one, other), nx=1)
    assert isinstance(build_datasets(make_spec(one, one), nx=1).validation, ParametricDataset)


@pytest.mark.parametrize(
    ("train", "validation", "overlap"),
    [
        ({"stop_samples": 500}, {"start_samples": 500}, None),
        ({"stop_samples": 500}, {"start_samples": 460}, "31 samples (469 to 500)"),
        ({"stop_samples": 500}, {"start_samples": 491}, None),
        ({"stop_samples": 500}, {"start_samples": 480, "delay": 30}, None),
        ({}, {}, "991 samples (9 to 1000)"),
    ],
)
def test_targets_used_twice_are_reported(
    train: dict[str, Any],
    validation: dict[str, Any],
    overlap: str | None,
    pair: dict[str, Any],
    make_spec: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        build_datasets(make_spec({**pair, **train}, {**pair, **validation}), nx=10)
    assert ("used for training and for validation" in caplog.text) == bool(overlap)
    assert overlap is None or overlap in caplog.text


class SeedExample(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """A dataset as plugins write it: no sample rate, no handshake, parameters beside the target."""

    def __init__(self, audio_path: str, params_path: str, segment_length: int, nx: int) -> None:
        self.paths = audio_path, params_path
        self.segment_length, self.nx_given = segment_length, nx

    @classmethod
    def init_from_config(cls, config_dict: dict[str, Any]) -> SeedExample:
        return cls(
            audio_path=config_dict["audio_path"],
            params_path=config_dict["params_path"],
            segment_length=config_dict.get("segment_length", 4096),
            nx=config_dict["nx"],
        )

    def __len__(self) -> int:
        return 6

    def __getitem__(self, idx: int) -> Any:
        x = torch.full((self.segment_length,), float(idx))
        return x, (-x[self.nx_given - 1 :], torch.tensor(0.1 * idx), torch.tensor([1.0, 2.0]))


@pytest.fixture
def registered() -> Iterator[str]:
    register_dataset_initializer("SeedExample", SeedExample.init_from_config)
    yield "SeedExample"
    DATASETS.unregister("SeedExample")


def test_a_plain_torch_dataset_works(registered: str) -> None:
    entry = {
        "type": registered,
        "audio_path": "a.wav",
        "params_path": "p.csv",
        "segment_length": 16,
        "_why": "x",
    }
    built = build_datasets(
        DataConfig.model_validate({"train": entry, "validation": entry, "common": {}}), nx=5
    )
    x, gain, tone, y = built.train[3]
    assert (x.shape, gain.shape, tone.shape, y.shape) == ((16,), (), (2,), (12,))
    assert y[0] == -3.0
    batch = built.train.batch(torch.tensor([1, 4]))
    assert [tuple(part.shape) for part in batch] == [(2, 16), (2,), (2, 2), (2, 12)]
    assert built.train.sample_rate is None
    built.train.handshake(types.SimpleNamespace(receptive_field=5, num_conditions=2, sample_rate=48000))
    built.train.teardown()
    assert built.train.paths == ("a.wav", "p.csv")  # type: ignore[attr-defined]


def test_initializers_get_the_nets_nx(registered: str, caplog: pytest.LogCaptureFixture) -> None:
    entry = {"audio_path": "a", "params_path": "p", "nx": 9}
    spec = component("dataset", {"name": registered, "config": entry})
    with caplog.at_level(logging.WARNING):
        assert build_dataset(spec, DatasetContext(5)).nx_given == 5  # type: ignore[attr-defined]
    assert "`nx` is 9 in the data config, but the net needs 5" in caplog.text


def test_registration_as_a_decorator_and_twice() -> None:
    try:

        @register_dataset_initializer("Decorated")
        def make(config: dict[str, Any]) -> SeedExample:
            return SeedExample.init_from_config({"audio_path": "", "params_path": "", **config})

        assert make({"nx": 1}).nx_given == 1
        with pytest.raises(DuplicateNameError, match="'Decorated' is already registered"):
            register_dataset_initializer("Decorated", make)
        register_dataset_initializer("Decorated", SeedExample.init_from_config, overwrite=True)
        assert DATASETS.find("Decorated").load() == SeedExample.init_from_config
    finally:
        DATASETS.unregister("Decorated")


class Keywords:
    """A dataset given by its import path: keyword arguments, nx among them."""

    sample_rate = 44100
    y = torch.ones(3)

    def __init__(self, size: int, nx: int) -> None:
        self.size, self.nx = size, nx
        self.told: list[Any] = []

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        return {"noisy": torch.tensor([index]), "length": index}

    def set_epoch(self, epoch: int) -> None:
        self.told.append(epoch)

    def teardown(self) -> None:
        self.told.append("teardown")

    def handshake(self, net: Any) -> None:
        raise HandshakeError("no")


def test_classes_get_keywords_and_keep_what_they_have() -> None:
    from nam_like.config.component import Component
    from nam_like.config.signature import config_from_callable
    from nam_like.registry import Entry

    config = config_from_callable(Keywords, DATASETS.supplied).model_validate({"size": 4})
    dataset = build_dataset(
        Component(Entry("dataset", "plugin.Keywords", Keywords), config), DatasetContext(7)
    )
    assert (len(dataset), dataset.nx, dataset.sample_rate) == (4, 7, 44100)
    assert dataset.batch(torch.tensor([1, 2]))["length"].tolist() == [1, 2]
    dataset.set_epoch(2)
    dataset.teardown()
    assert dataset.told == [2, "teardown"]  # type: ignore[attr-defined]
    with pytest.raises(HandshakeError, match="no"):
        dataset.handshake(None)
    with pytest.raises(AttributeError, match="nothing"):
        dataset.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("item", "order"),
    [
        (("x", ("y", "p")), ("x", "p", "y")),
        (("x", ["y", "p", "q"]), ("x", "p", "q", "y")),
        (("x", "p", "y"), ("x", "p", "y")),
        (["x", "y"], ("x", "y")),
        ({"x": 1}, {"x": 1}),
    ],
)
def test_items_are_put_in_order(item: Any, order: Any) -> None:
    assert normalise_item(item) == order


@pytest.mark.parametrize(("item", "got"), [((1,), "a tuple of 1"), (3, "a int"), ([], "a list of 0")])
def test_items_of_no_use(item: Any, got: str) -> None:
    with pytest.raises(DataError, match=f"expected an item to be a tuple .* but got {got}"):
        normalise_item(item)


def test_what_is_no_dataset() -> None:
    with pytest.raises(
        DataError, match="expected int to be a dataset, but it has no __len__ and no __getitem__"
    ):
        as_dataset(3)
    ours = PairedDataset(torch.zeros(4), torch.zeros(4), nx=1)
    assert as_dataset(ours) is ours
    assert isinstance(as_dataset([1, 2]), PlainDataset)


def test_items_that_do_not_stack() -> None:
    uneven = as_dataset([(torch.zeros(3), torch.zeros(1)), (torch.zeros(4), torch.zeros(1))])
    with pytest.raises(DataError, match="use a batch_size of 1"):
        uneven.batch(torch.tensor([0, 1]))


def test_an_empty_dataset_is_refused() -> None:
    register_dataset_initializer("Empty", lambda config: [])
    try:
        data = DataConfig.model_validate({"type": "Empty", "train": {}, "validation": {}})
        with pytest.raises(DataError, match="train: expected at least one item, but got an empty dataset"):
            build_datasets(data, nx=1)
    finally:
        DATASETS.unregister("Empty")


def test_init_dataset_builds_one_split(pair: dict[str, Any]) -> None:
    config = {"train": [{"ny": 20}, {"ny": 20, "delay": 1}], "common": {**pair, "nx": 4}, "type": "dataset"}
    train = init_dataset(config, "train")
    assert isinstance(train, nam_data.ConcatDataset)
    assert train.nx == 4
    assert init_dataset(config, "train", nx=6).nx == 6
    with pytest.raises(UserError, match="expected `validation` in the data config"):
        init_dataset(config, "validation")
    with pytest.raises(UserError, match="expected the split to be train or validation, but got 'test'"):
        init_dataset(config, "test")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"expected `nx` .* to be given, but got null"):
        init_dataset({"train": pair}, "train")
    with pytest.raises(ValidationError, match="delai"):
        init_dataset({"train": {**pair, "delai": 1}}, "train", nx=1)


def test_the_names_of_the_field() -> None:
    assert nam_data.Dataset is PairedDataset
    assert issubclass(nam_data.Dataset, nam_data.AbstractDataset)
    assert nam_data.register_dataset_initializer is register_dataset_initializer
