"""Manifest datasets, from a data JSON to the batches of a loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.manifests import MakeManifest, Write, indices, ramp
from pydantic import ValidationError

from nam_like.config.data import DataConfig
from nam_like.data.base import DataError, HandshakeError
from nam_like.data.build import build_datasets, init_dataset
from nam_like.data.concat import ConcatDataset
from nam_like.data.loader import make_dataloader
from nam_like.data.manifest import ManifestDataset

COMMON = {"sample_rate": 16000, "input_key": "noisy_filepath", "target_key": "clean_filepath"}


@pytest.fixture
def folder(tmp_path: Path, write: Write, manifest: MakeManifest) -> Path:
    """Two manifests of files of different lengths: 3 files for training, 2 for validation."""
    for number, samples in enumerate((3200, 4000, 4800, 1600, 2400)):
        write(f"n{number}.wav", ramp(samples, 10000 * number + 1))
        write(f"c{number}.wav", ramp(samples, 10000 * number + 1) / 2)
    lines = [
        {"noisy_filepath": f"n{n}.wav", "clean_filepath": f"c{n}.wav", "duration": duration}
        for n, duration in enumerate((0.2, 0.25, 0.3, 0.1, 0.15))
    ]
    manifest(lines[:3], "train.json")
    manifest(lines[3:], "val.json")
    return tmp_path


def data_config(**more: Any) -> DataConfig:
    return DataConfig.model_validate(
        {
            "type": "manifest",
            "common": COMMON,
            "train": {
                "manifest_filepath": "train.json",
                "audio_duration": 0.05,
                "random_offset": True,
                "normalization_signal": "input_signal",
            },
            "validation": {"manifest_filepath": "val.json"},
            **more,
        }
    )


def test_a_data_json_becomes_two_datasets(folder: Path) -> None:
    data = data_config()
    built = build_datasets(data, nx=1, folders=[folder], seed=5)
    assert isinstance(built.train, ManifestDataset)
    assert isinstance(built.validation, ManifestDataset)
    assert (len(built.train), len(built.validation)) == (3, 2)
    assert built.train.sample_rate == built.validation.sample_rate == 16000
    assert built.output_gain == 1.0
    example = built.train[1]
    assert example.signals["input_signal"].shape == (1, 800)
    assert float(example.signals["input_signal"].abs().max()) == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(
        example.signals["target_signal"], example.signals["input_signal"] / 2, rtol=1e-6, atol=0
    )
    assert indices(built.validation[1].signals["input_signal"][0]) == list(range(40001, 42401))
    # The canonical spelling means the same.
    again = build_datasets(DataConfig.model_validate(data.canonical()), nx=1, folders=[folder], seed=5)
    assert torch.equal(again.train[1].signals["input_signal"], example.signals["input_signal"])


def test_the_order_of_epochs_is_reproducible(folder: Path) -> None:
    def starts(epoch: int) -> list[float]:
        train = build_datasets(data_config(), nx=1, folders=[folder], seed=1).train
        loader = make_dataloader(train, {"batch_size": 2, "shuffle": True}, train=True, seed=1)
        loader.set_epoch(epoch)
        return [float(row[0, 0]) for batch in loader for row in batch["input_signal"]]

    assert starts(0) == starts(0)
    assert len(starts(0)) == 3
    assert sorted(starts(0)) != sorted(starts(1))


def test_a_list_of_manifest_datasets_is_joined(folder: Path) -> None:
    entries = [{"manifest_filepath": "val.json"}, {"manifest_filepath": "train.json"}]
    validation = build_datasets(data_config(validation=entries), nx=1, folders=[folder]).validation
    assert isinstance(validation, ConcatDataset)
    assert validation.names == [f"n{number}.wav" for number in (3, 4, 0, 1, 2)]
    assert len(list(validation.base_datasets())) == 2
    batches = list(make_dataloader(validation, {"batch_size": 3}, train=False))
    assert [batch["input_length"].tolist() for batch in batches] == [[1600, 2400, 3200], [4000, 4800]]
    assert indices(batches[0]["input_signal"][:, 0, 0]) == [30001, 40001, 1]
    assert batches[0]["target_signal"].shape == (3, 1, 3200)
    assert not batches[0]["input_signal"][0, 0, 1600:].any()
    alone = validation.batch(torch.tensor([1]))
    assert torch.equal(alone["target_signal"][0], batches[0]["target_signal"][1, :, :2400])


def test_random_places_of_a_list_differ(folder: Path) -> None:
    entry = {"manifest_filepath": "train.json", "audio_duration": 0.05, "random_offset": True}
    train = build_datasets(data_config(train=[entry, entry]), nx=1, folders=[folder], seed=1).train
    one, other = (
        [float(train[first + n].signals["input_signal"][0, 0]) for n in range(3)] for first in (0, 3)
    )
    assert one != other
    train.set_epoch(1)
    assert [float(train[n].signals["input_signal"][0, 0]) for n in range(3)] != one


def test_one_list_has_one_set_of_signals(folder: Path) -> None:
    entries = [{"manifest_filepath": "val.json"}, {"manifest_filepath": "train.json", "target_key": None}]
    validation = build_datasets(data_config(validation=entries), nx=1, folders=[folder]).validation
    with pytest.raises(DataError, match=r"n0.wav: expected a target_signal, as n3.wav has one, but got none"):
        validation.batch(torch.tensor([0, 2]))


def test_rates_have_to_agree(folder: Path) -> None:
    validation = {"manifest_filepath": "val.json", "sample_rate": 8000}
    with pytest.raises(DataError, match="training sample rate, 16000 Hz, but got 8000 Hz"):
        build_datasets(data_config(validation=validation), nx=1, folders=[folder])
    with pytest.raises(
        DataError, match="the same `sample_rate`, but got 16000 in entry 0 and 8000 in entry 1"
    ):
        build_datasets(
            data_config(validation=[{"manifest_filepath": "val.json"}, validation]), nx=1, folders=[folder]
        )

    class Net:
        sample_rate = 48000

    train = build_datasets(data_config(), nx=1, folders=[folder]).train
    with pytest.raises(HandshakeError, match="the net's sample rate, 48000 Hz, but got 16000 Hz"):
        train.handshake(Net())


def test_the_place_in_the_data_json_is_told(folder: Path, write: Write) -> None:
    (folder / "c4.wav").unlink()
    with pytest.raises(
        DataError, match=r"^validation: expected a file, but there is none: .*val.json:2: .*c4.wav"
    ):
        build_datasets(data_config(), nx=1, folders=[folder])
    write("c4.wav", np.zeros(1000))
    with pytest.raises(DataError, match=r"^validation: .*val.json:2: .*c4.wav: expected at least 0.15 s"):
        build_datasets(data_config(), nx=1, folders=[folder])
    with pytest.raises(ValidationError, match="`batch_size` belongs into learning") as error:
        data_config(validation={"manifest_filepath": "val.json", "batch_size": 1})
    assert error.value.errors()[0]["loc"] == ("validation", "batch_size")


def test_scripts_can_build_one_split(folder: Path) -> None:
    config = {"type": "manifest", "common": COMMON, "validation": {"manifest_filepath": "val.json"}}
    assert len(init_dataset(config, "validation", nx=1, folders=[folder])) == 2


@pytest.mark.parametrize(
    ("line", "shared"),
    [
        ({}, True),
        ({"clean_filepath": "sub/../c0.wav"}, True),
        ({"noisy_filepath": "n1.wav"}, True),  # other noise over the same speech
        ({"clean_filepath": "sub/c0.wav"}, False),  # another file of that name
        ({"offset": 0.1, "duration": 0.1}, True),
        ({"duration": 0.05}, True),
        ({"offset": 0.15, "duration": 0.05}, False),
    ],
)
def test_targets_of_both_splits_are_reported(
    line: dict[str, Any],
    shared: bool,
    folder: Path,
    write: Write,
    manifest: MakeManifest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write("sub/c0.wav", ramp(3200))
    first = {"noisy_filepath": "n0.wav", "clean_filepath": "c0.wav", "duration": 0.2}
    manifest([{**first, "duration": 0.15}], "train.json")
    manifest([{**first, "clean_filepath": "c3.wav", "duration": 0.1}, {**first, **line}], "val.json")
    build_datasets(data_config(), nx=1, folders=[folder])
    expected = (
        f"1 of 2 validation examples, first {folder / 'val.json'}:2, have targets that training uses too"
    )
    assert [message for message in caplog.messages if "training uses" in message] == (
        [f"{expected}, so the validation figures say nothing about other material"] if shared else []
    )
    caplog.clear()
    entry = {"manifest_filepath": "val.json", "target_key": None}
    build_datasets(data_config(train=entry, validation=[entry]), nx=1, folders=[folder])
    assert "2 of 2 validation examples" in caplog.text
