"""The config of manifest datasets: what it takes, what it refuses, and where keys of other places belong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness.manifests import MakeDataset, MakeManifest, Write, indices, ramp
from pydantic import ValidationError

from nam_like.data.base import DataError, DatasetContext
from nam_like.data.manifest import ManifestDataset, ManifestDatasetConfig
from nam_like.errors import UserError

GOOD: dict[str, Any] = {"manifest_filepath": "m.json", "sample_rate": 16000}


def refused(**keys: Any) -> str:
    with pytest.raises(ValidationError) as error:
        ManifestDatasetConfig.model_validate({**GOOD, **keys})
    assert error.value.error_count() == 1
    return error.value.errors()[0]["msg"]


def test_defaults() -> None:
    config = ManifestDatasetConfig.model_validate(GOOD)
    assert (config.input_key, config.target_key) == ("audio_filepath", "target_filepath")
    assert config.audio_duration is config.normalization_signal is config.reference_key is None
    assert config.random_offset is False


@pytest.mark.parametrize("key", ["batch_size", "shuffle", "num_workers", "pin_memory", "drop_last"])
def test_keys_of_the_loader_are_sent_there(key: str) -> None:
    message = f"`{key}` belongs into learning.json: `train_dataloader` and `val_dataloader`"
    assert refused(**{key: 1}) == message


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("use_lhotse", "`use_lhotse` is not for manifests: the `type` of the data names the kind of source"),
        ("is_tarred", "`is_tarred` is not for manifests: the `type` of the data names the kind of source"),
        ("truncate_duration", "`truncate_duration` is called `audio_duration` for manifests"),
        ("normalize_input", "`normalize_input` is a key of the net; to normalise examples, choose a "),
        ("input_keys", "expected a known key, but got 'input_keys'; did you mean 'input_key'?"),
        ("zzz", "expected one of the keys manifest_filepath, sample_rate, input_key"),
    ],
)
def test_other_keys(key: str, message: str) -> None:
    assert refused(**{key: 1}).startswith(message)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sample_rate": 0}, "greater than 0"),
        ({"manifest_filepath": []}, "expected a string or a list of strings, but got an empty list"),
        ({"manifest_filepath": " , "}, 'but got the string " , "'),
        ({"input_key": None}, "expected a string or a list of strings, but got null"),
        ({"input_key": ["a", 1]}, "expected a string or a list of strings, but got a list of 2"),
        ({"input_channel_selector": -1}, "expected channels counted from 0, but got -1"),
        ({"normalization_signal": "input"}, "'input_signal', 'target_signal' or 'reference_signal'"),
        ({"audio_duration": 0}, "greater than 0"),
        ({"max_utts": -1}, "greater than or equal to 0"),
        ({"random_offset": 1}, "expected true or false, but got 1"),
        (
            {"min_duration": 2, "max_duration": 1},
            "expected `max_duration` to be at least `min_duration`, 2 s, but got 1 s",
        ),
        (
            {"target_key": None, "normalization_signal": "target_signal"},
            "expected a signal of the data, but got 'target_signal', and `target_key` is null",
        ),
        ({"normalization_signal": "reference_signal"}, "and `reference_key` is null"),
        (
            {"target_key": None, "target_channel_selector": 0},
            "expected `target_channel_selector` only with a `target_key`, but got 0",
        ),
        ({"reference_channel_selector": 0}, "only with a `reference_key`, but got 0"),
        ({"reference_is_synchronized": False}, "only with a `reference_key`, but got false"),
        ({"reference_duration": 1.0}, "only with a `reference_key`, but got 1.0"),
        (
            {"reference_key": "r", "reference_duration": 1.5},
            "expected `reference_duration` only with `reference_is_synchronized` false, but got 1.5",
        ),
    ],
)
def test_values_that_make_no_sense(keys: dict[str, Any], message: str) -> None:
    assert message in refused(**keys)


def test_defaults_may_be_written_out() -> None:
    config = ManifestDatasetConfig.model_validate({**GOOD, "reference_is_synchronized": True, "max_utts": 0})
    assert ManifestDatasetConfig.model_validate(config.model_dump(mode="json")) == config


def test_the_shortest_line_may_be_as_long_as_an_example(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(4000))
    lines = [{"audio_filepath": "a.wav", "duration": duration} for duration in (0.05, 0.1, 0.25, 0.2)]
    data = dataset(lines, audio_duration=0.1, min_duration=0.1, max_duration=0.2)
    assert [entry.number for entry in data.entries] == [2, 4]
    assert {example.signals["input_signal"].shape[1] for example in map(data.__getitem__, range(2))} == {1600}
    assert len(dataset(lines, max_utts=3)) == 3
    with pytest.raises(DataError, match=r"within `min_duration` 1 s, but got 4 of 0\.05 s to 0\.25 s"):
        dataset(lines, min_duration=1)


def test_several_manifests(tmp_path: Path, write: Write, manifest: MakeManifest) -> None:
    for number in (1, 2):
        write(f"{number}.wav", ramp(100, 1000 * number))
        manifest([{"audio_filepath": f"{number}.wav", "duration": 0.00625}], f"{number}.json")
    for spelling in ("1.json,2.json", "1.json, 2.json", ["1.json", str(tmp_path / "2.json")]):
        config = ManifestDatasetConfig.model_validate(
            {"manifest_filepath": spelling, "sample_rate": 16000, "target_key": None}
        )
        data = config.build(DatasetContext(1, (tmp_path,)))
        assert data.names == ["1.wav", "2.wav"]
        assert [indices(data[n].signals["input_signal"][0])[0] for n in range(2)] == [1000, 2000]
    with pytest.raises(
        UserError, match=r"expected `manifest_filepath` to be a file, but '3\.json' is found neither"
    ):
        ManifestDatasetConfig.model_validate({**GOOD, "manifest_filepath": "1.json,3.json"}).build(
            DatasetContext(1, (tmp_path,))
        )


def test_files_that_are_missing_are_told_before_training(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(100))
    lines = [{"audio_filepath": "a.wav", "target_filepath": f"t{n}.wav", "duration": 0.1} for n in range(7)]
    with pytest.raises(
        DataError, match=r"^7 of the 14 files of the manifests are missing:\n .*t0.wav \(target\)"
    ):
        dataset(lines, target_key="target_filepath")
    # What is left out need not be there.
    lines[0] |= {"target_filepath": "a.wav", "duration": 0.00625}
    assert len(dataset(lines, target_key="target_filepath", max_duration=0.05)) == 1


def test_random_places_need_a_duration(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(100))
    lines = [{"audio_filepath": "a.wav", "duration": 0.00625}]
    with pytest.raises(DataError, match="expected an `audio_duration` with `random_offset`, but got null"):
        dataset(lines, random_offset=True)
    # The key may stand in `common`, and validation takes whole files.
    assert isinstance(dataset(lines, random_offset=True, split="validation"), ManifestDataset)
