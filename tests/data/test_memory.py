"""Recordings in their files and recordings in memory give the same batches, bit for bit."""

from __future__ import annotations

import logging
import os
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from nam_like.audio.cache import AudioCache
from nam_like.audio.checks import ClippedError, NotFiniteError, PreSilenceError, SilentError
from nam_like.audio.errors import AudioError
from nam_like.audio.signal import NotResidentError, Signal
from nam_like.config.data import DataConfig
from nam_like.data import store as store_module
from nam_like.data.base import AbstractDataset, DataError, DatasetContext
from nam_like.data.build import Datasets, build_datasets, init_dataset
from nam_like.data.concat import ConcatDataset
from nam_like.data.curriculum import recut
from nam_like.data.loader import make_dataloader
from nam_like.data.memory import HELD_SHARE
from nam_like.data.paired import PairedDataset, PairedDatasetConfig
from nam_like.data.parametric import ParametricDatasetConfig
from nam_like.data.samples import blocks
from nam_like.data.store import AudioStore
from nam_like.errors import UserError

RATE = 8000
LENGTH = 1000
FORMATS = [
    ("wav", "PCM_16"), ("wav", "PCM_24"), ("wav", "PCM_32"), ("wav", "PCM_U8"), ("wav", "FLOAT"),
    ("wav", "DOUBLE"), ("rf64", "PCM_24"), ("w64", "FLOAT"), ("flac", "PCM_24"), ("ogg", "VORBIS"),
]  # fmt: skip


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of `x` and `y` in every format, in stereo, and of curves of two knobs."""
    folder = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    for name in "xy":
        samples = rng.uniform(-0.3, 0.3, (LENGTH, 2))
        for suffix, subtype in FORMATS:
            kind = None if suffix in ("wav", "flac", "ogg") else suffix.upper()
            path = folder / f"{name}_{suffix}_{subtype}.{'wav' if kind else suffix}"
            soundfile.write(path, samples, RATE, subtype=subtype, format=kind)
    (folder / "knobs.csv").write_text("sample,tone,gain\n0,0.1,1\n31.5,0.25,7\n400,0.9,3.3\n1000,0.2,2\n")
    return folder


@st.composite
def configs(draw: st.DrawFn, parametric: bool = False) -> dict[str, Any]:
    x, y = draw(st.sampled_from(FORMATS)), draw(st.sampled_from(FORMATS))
    config: dict[str, Any] = {
        "x_path": f"x_{x[0]}_{x[1]}.{'wav' if x[0] in ('rf64', 'w64') else x[0]}",
        "y_path": f"y_{y[0]}_{y[1]}.{'wav' if y[0] in ('rf64', 'w64') else y[0]}",
        "x_channel": draw(st.integers(0, 1)),
        "y_channel": draw(st.integers(0, 1)),
        "ny": draw(st.none() | st.integers(1, 100)),
        "delay": draw(st.none() | st.integers(-50, 50)),
        "start_samples": draw(st.none() | st.integers(0, 300)),
        "stop_samples": draw(st.none() | st.integers(-300, -1)),
        "input_gain": draw(st.sampled_from([0.0, -3.3, 2.1])),
        "y_scale": draw(st.sampled_from([1.0, 0.7, -0.123456789])),
        "random_offset": draw(st.booleans()),
        "require_input_pre_silence": None,
    }
    if draw(st.booleans()):
        config |= {"y_preroll": draw(st.integers(0, 50)), "allow_unequal_lengths": True}
    if draw(st.booleans()):
        config |= {"sample_rate": draw(st.sampled_from([6000, 11025])), "resample": True}
    if parametric:
        config["knobs"] = {"volume": draw(st.floats(0, 10))}
        if draw(st.booleans()):
            config["knob_data_path"] = "knobs.csv"
            config["interpolation"] = draw(st.sampled_from(["hold", "linear"]))
            config["knob_ranges"] = {"gain": [0.0, 10.0]}
            if config.get("sample_rate", 0) > RATE or config["interpolation"] == "linear":
                config["delay"] = 0  # the curves end with the recording
    return config


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> AudioCache:
    return AudioCache(tmp_path_factory.mktemp("cache"), limit=1 << 30)


def both(config: dict[str, Any], audio: Path, cache: AudioCache, seed: int) -> tuple[PairedDataset, ...]:
    """The dataset with its recordings in memory, and with them in their files."""
    kind = ParametricDatasetConfig if "knobs" in config else PairedDatasetConfig
    model = kind.model_validate(config)
    stores = AudioStore(), AudioStore(mapped=True, cache=cache)
    return tuple(model.build(DatasetContext(7, (audio,), store, seed=seed)) for store in stores)


def assert_same(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.dtype == b.dtype == torch.float32
        assert a.shape == b.shape
        assert torch.equal(a, b)


def assert_same_batches(resident: AbstractDataset, mapped: AbstractDataset, data: st.DataObject) -> None:
    assert len(resident) == len(mapped)
    for epoch in (0, data.draw(st.integers(1, 5))):
        resident.set_epoch(epoch)
        mapped.set_epoch(epoch)
        items = data.draw(st.lists(st.integers(0, len(resident) - 1), min_size=1, max_size=5))
        assert_same(resident.batch(torch.tensor(items)), mapped.batch(torch.tensor(items)))
        assert_same(resident[items[0]], mapped[items[0]])


@pytest.mark.parametrize("parametric", [False, True])
@given(data=st.data())
def test_batches_are_the_same(parametric: bool, audio: Path, cache: AudioCache, data: st.DataObject) -> None:
    config = data.draw(configs(parametric))
    resident, mapped = both(config, audio, cache, data.draw(st.integers(0, 2**40)))
    assert mapped.is_mapped
    assert isinstance(mapped.x, Signal)
    assert not resident.is_mapped
    assert_same_batches(resident, mapped, data)
    gain = data.draw(st.floats(0.01, 3.0))
    for dataset in (resident, mapped):
        dataset.scale_output(gain)
    assert_same_batches(resident, mapped, data)
    start = data.draw(st.integers(0, len(resident.x) - 7))
    stop = data.draw(st.integers(start + 7, len(resident.x)))
    assert_same(resident.span(start, stop), mapped.span(start, stop))
    mapped.hold()
    assert not mapped.is_mapped
    assert_same_batches(resident, mapped, data)


@given(data=st.data())
def test_batches_of_many_files_are_the_same(audio: Path, cache: AudioCache, data: st.DataObject) -> None:
    entries = data.draw(st.lists(configs(parametric=True), min_size=2, max_size=3))
    shared = {"ny": data.draw(st.integers(1, 60)), "knobs": {"gain": 1.0, "tone": 2.0}, "sample_rate": RATE}
    varying = {"ny": shared["ny"], "knobs": {}, "sample_rate": RATE, "knob_data_path": "knobs.csv"}
    for number, entry in enumerate(entries):
        entry.pop("knob_ranges", None)
        entry.update(varying if number == 0 else {**shared, "knob_data_path": None})
        entry |= {"interpolation": "hold", "delay": None}
    pairs = [both(entry, audio, cache, seed) for seed, entry in enumerate(entries)]
    resident, mapped = (ConcatDataset(list(side)) for side in zip(*pairs, strict=True))
    assert_same_batches(resident, mapped, data)
    ny = data.draw(st.integers(1, 60))
    assert_same_batches(recut(resident, ny), recut(mapped, ny), data)


# -- a whole run's datasets -----------------------------------------------------------------------


@pytest.fixture
def takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A data JSON of two takes of 200 000 samples (0.76 MiB each) with one input, without its splits."""
    rng = np.random.default_rng(1)
    for name in ("x", "y1", "y2"):
        soundfile.write(tmp_path / f"{name}.wav", rng.uniform(-0.5, 0.5, 200_000), RATE, subtype="PCM_24")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAM_LIKE_CACHE", str(tmp_path / "cache"))
    return {"common": {"x_path": "x.wav", "require_input_pre_silence": None}}


def built(takes: dict[str, Any], start: int = -100, **keys: Any) -> Datasets:
    names = ("y1.wav", "y2.wav")
    config = DataConfig.model_validate(
        {
            **takes,
            "train": [{"y_path": name, "stop_samples": start, "ny": 50} for name in names],
            "validation": [{"y_path": name, "start_samples": start} for name in names],
            **keys,
        }
    )
    return build_datasets(config, nx=5, seed=3)


def mapped_ones(split: AbstractDataset) -> list[bool]:
    return [d.is_mapped for d in split.base_datasets() if isinstance(d, PairedDataset)]


@pytest.mark.parametrize(
    ("keys", "train"),
    [
        ({}, False),
        ({"memory": "auto", "memory_limit_mib": 3}, False),
        ({"memory_limit_mib": 2}, True),  # three files of 0.76 MiB
        ({"memory": "resident"}, False),
        ({"memory": "mapped"}, True),
    ],
)
def test_what_the_data_json_says(
    takes: dict[str, Any], keys: dict[str, Any], train: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        datasets = built(takes, **keys)
    assert mapped_ones(datasets.train) == [train] * 2
    assert mapped_ones(datasets.validation) == [False] * 2  # each is short
    assert (
        "3 recordings stay in their files: they would take 2 MiB of memory, more than 2 MiB" in caplog.text
    ) == (keys == {"memory_limit_mib": 2})


def test_validation_is_held_as_long_as_there_is_room(takes: dict[str, Any]) -> None:
    room = (1 << 20) // HELD_SHARE // 8  # samples of x and y
    assert mapped_ones(built(takes, -room // 2, memory_limit_mib=1).validation) == [False, False]
    assert mapped_ones(built(takes, -room, memory_limit_mib=1).validation) == [False, True]
    assert mapped_ones(built(takes, -room - 1, memory_limit_mib=1).validation) == [True, True]


def test_one_split_alone(takes: dict[str, Any]) -> None:
    data = {**takes, "memory": "mapped", "train": {"y_path": "y1.wav", "ny": 10}}
    assert mapped_ones(init_dataset(data, "train", nx=5)) == [True]
    assert mapped_ones(init_dataset({**data, "memory": "auto"}, "train", nx=5)) == [False]


def test_the_setting_is_kept_and_checked(takes: dict[str, Any]) -> None:
    splits = {split: {"y_path": "y1.wav"} for split in ("train", "validation")}
    for keys in ({"memory": "mapped"}, {"memory_limit_mib": 7}, {}):
        canonical = DataConfig.model_validate({**takes, **splits, **keys}).canonical()
        assert {key: canonical[key] for key in canonical if key.startswith("memory")} == keys
    with pytest.raises(ValidationError, match='`memory_limit_mib` with "memory": "auto" only, but got "map'):
        DataConfig.model_validate({**takes, **splits, "memory": "mapped", "memory_limit_mib": 7})


def test_the_level_found_is_the_same(takes: dict[str, Any]) -> None:
    joint = [{"name": "normalize_output", "config": {"level_rms_dbfs": -20}}]
    resident, mapped = (built(takes, joint=joint, memory=memory) for memory in ("resident", "mapped"))
    assert resident.output_gain == mapped.output_gain != 1.0
    for split in ("train", "validation"):
        indices = torch.arange(2)
        assert_same(getattr(resident, split).batch(indices), getattr(mapped, split).batch(indices))
    energy = sum(
        float(block.double().square().sum())
        for d in mapped.train.base_datasets()
        for block in blocks(d.y)  # type: ignore[attr-defined]
    )
    count = sum(len(d.y) for d in mapped.train.base_datasets())  # type: ignore[attr-defined]
    assert 10 * np.log10(energy / count) == pytest.approx(-20.0, abs=1e-5)


class Doubled:
    """A hook that wants all samples at once."""

    def apply(self, train: Any, validation: Any) -> None:
        for dataset in train.base_datasets():
            dataset.y = dataset.y * 2


def test_a_hook_that_needs_the_samples_in_memory_is_told(takes: dict[str, Any]) -> None:
    from nam_like.config.component import Component
    from nam_like.config.signature import config_from_callable
    from nam_like.registry import Entry

    config = DataConfig.model_validate(
        {**takes, **{split: {"y_path": "y1.wav"} for split in ("train", "validation")}, "memory": "mapped"}
    )
    entry = Entry("hook", "plugin.Doubled", Doubled)
    hook = Component(entry, config_from_callable(Doubled).model_validate({}))
    with pytest.raises(UserError, match=r"joint\[0\]: `mul` needs all 200000 samples of .*y1\.wav in memory"):
        build_datasets(config.model_copy(update={"joint": [hook]}), nx=5)


def test_a_missing_file_is_reported_where_it_is_named(takes: dict[str, Any]) -> None:
    Path("y2.wav").unlink()
    with pytest.raises(UserError, match=r"^train\[1\]: expected `y_path` to be a file"):
        built(takes)


# -- checks ---------------------------------------------------------------------------------------


def bad_nan(y: Any) -> None:
    y[150_000] = np.nan


def bad_clipped(y: Any) -> None:
    y[150_000:150_007] = 0.99999


def bad_silent(y: Any) -> None:
    y[:] = 0.0


def bad_start(y: Any) -> None:
    y[:] = 0.1


@pytest.mark.parametrize(
    ("name", "spoil", "error", "said"),
    [
        ("x", bad_nan, NotFiniteError, "got 1 NaN or infinite ones, the first at sample 150000"),
        ("y1", bad_nan, AudioError, "got 1 NaN or infinite ones, the first at sample 150000"),
        ("y1", bad_clipped, ClippedError, "the first at sample 150000, the longest 7 samples"),
        ("y1", bad_silent, SilentError, "all 200000 samples are zero"),
        ("x", bad_silent, SilentError, "all 200000 samples are zero"),
        ("x", bad_start, PreSilenceError, r"expected digital silence for 0\.4 s"),
    ],
)
def test_checks_say_the_same(
    takes: dict[str, Any], name: str, spoil: Callable[[Any], None], error: type[Exception], said: str
) -> None:
    samples = soundfile.read(f"{name}.wav")[0]
    spoil(samples)
    soundfile.write(f"{name}.wav", samples, RATE, subtype="FLOAT")
    config = {"x_path": "x.wav", "y_path": "y1.wav", "require_input_pre_silence": None}
    if spoil is bad_start:
        config |= {"start_samples": 4000, "require_input_pre_silence": 0.4}
    messages = []
    for mapped in (False, True):
        with pytest.raises(AudioError if spoil is bad_nan else error, match=said) as caught:
            PairedDatasetConfig.model_validate(config).build(DatasetContext(5, store=AudioStore(mapped)))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_rates_that_differ_are_refused(takes: dict[str, Any]) -> None:
    soundfile.write("y1.wav", np.full(1000, 0.5), 2 * RATE)
    config = PairedDatasetConfig.model_validate({"x_path": "x.wav", "y_path": "y1.wav"})
    with pytest.raises(AudioError, match=r"expected the sample rate of x, 8000 Hz .*, but got 16000 Hz"):
        config.build(DatasetContext(5, store=AudioStore(mapped=True)))
    store = AudioStore(mapped=True)
    one = store.open(Path("x.wav"))
    assert store.open(Path("x.wav"), sample_rate=RATE) is one
    assert store.open(Path("x.wav"), sample_rate=RATE, resample=True) is one
    other = store.open(Path("x.wav"), sample_rate=4000, resample=True)
    assert store.open(Path("x.wav"), sample_rate=4000, resample=True) is other
    assert len(store) == 2
    with pytest.raises(AudioError, match="expected a sample rate of 4000 Hz, but got 8000 Hz"):
        store.open(Path("x.wav"), sample_rate=4000)


def test_a_float_file_is_gone_through_once(takes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write("x.wav", soundfile.read("x.wav")[0], RATE, subtype="FLOAT")
    checked = []
    monkeypatch.setattr(store_module, "check_finite", lambda signal, name: checked.append(name))
    assert mapped_ones(built(takes, memory="mapped").train) == [True, True]
    assert checked == [os.path.realpath("x.wav")]


def test_hashes_of_large_files_are_marked(takes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = built(takes).train.sources[0].as_dict()
    monkeypatch.setattr(store_module, "SAMPLED_ABOVE", 1000)
    large = built(takes).train.sources[0].as_dict()
    assert "sha256_sampled" not in whole
    assert large["sha256"] is None
    assert large["sha256_sampled"] not in (None, whole["sha256"])
    assert {**large, "sha256": whole["sha256"]} == {**whole, "sha256_sampled": large["sha256_sampled"]}


# -- memory and processes -------------------------------------------------------------------------


def test_a_long_pair_takes_little_memory(tmp_path: Path) -> None:
    frames = 1 << 23  # 32 MiB of float32 each
    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        with soundfile.SoundFile(tmp_path / f"{name}.wav", "w", 48_000, 1, "PCM_24") as file:
            for _ in range(32):
                file.write(rng.uniform(-0.5, 0.5, frames // 32))
    config = PairedDatasetConfig.model_validate({"x_path": "x.wav", "y_path": "y.wav", "ny": 8192})
    store = AudioStore(mapped=True)
    tracemalloc.start()
    try:
        dataset = config.build(DatasetContext(4096, (tmp_path,), store))
        for epoch in range(3):
            dataset.set_epoch(epoch)
            dataset.batch(torch.randperm(len(dataset))[:16])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


def test_it_stays_small_when_it_is_sent_to_workers(takes: dict[str, Any]) -> None:
    resident, mapped = (built(takes, memory=memory).train for memory in ("resident", "mapped"))
    assert len(pickle.dumps(mapped)) < 20_000 < len(pickle.dumps(resident))
    indices = torch.tensor([0, 4000, 7])
    assert_same(resident.batch(indices), pickle.loads(pickle.dumps(mapped)).batch(indices))


def batches(dataset: AbstractDataset, workers: int) -> Iterator[tuple[Tensor, ...]]:
    options = {"batch_size": 500, "shuffle": True, "num_workers": workers}
    return iter(make_dataloader(dataset, options, train=True))


def test_worker_processes_read_the_same(takes: dict[str, Any]) -> None:
    mapped = built(takes, memory="mapped").train
    for one, other in zip(batches(mapped, 0), batches(mapped, 2), strict=True):
        assert_same(one, other)


def test_a_mapped_recording_stays_where_it_is(takes: dict[str, Any]) -> None:
    one = PairedDatasetConfig.model_validate({"x_path": "x.wav", "y_path": "y1.wav", "ny": 10})
    dataset = one.build(DatasetContext(5, store=AudioStore(mapped=True)))
    assert dataset.to("meta") is dataset
    assert dataset.batch(torch.arange(2))[0].device.type == "cpu"
    with pytest.raises(DataError, match="equally long"):
        PairedDataset(dataset.x, dataset.y[1:], nx=1)
    with pytest.raises(NotResidentError):
        dataset.y.square()  # type: ignore[operator]
