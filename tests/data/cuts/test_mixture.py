"""Mixtures: draws against their probabilities, items of every type, and what is printed."""

from __future__ import annotations

import io
import itertools
import json
import logging
import pickle
import tarfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats

from nam_like.data.base import DataError
from nam_like.data.cuts.mixture import Mixture, load_input_cfg
from nam_like.data.cuts.stream import draws

pytest.importorskip("lhotse")

Build = Callable[..., Any]


def leaf(weight: float | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "lhotse_shar", "shar_path": "x"}
    return made if weight is None else {**made, "weight": weight}


def group(weight: float | None, *items: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "group", "input_cfg": list(items)}
    return made if weight is None else {**made, "weight": weight}


FIRST = [group(None, leaf(900), leaf(100)), leaf(200), leaf(300)]
SECOND = [group(0.7, leaf(600), leaf(400)), group(0.3, leaf(100))]
TASKS = [group(0.7, leaf(600), leaf(100)), group(0.3, leaf(50), leaf(200))]


@pytest.mark.parametrize(
    ("items", "temperature", "expected"),
    [
        (FIRST, 0.5, [0.375952, 0.125317, 0.224174, 0.274556]),
        (FIRST, 2, [0.874164, 0.010792, 0.035398, 0.079646]),
        (SECOND, [1.0, 0.0], [0.35, 0.35, 0.30]),
        (SECOND, [0, 1], [0.30, 0.20, 0.50]),
        (TASKS, [1.0, 0.0], [0.35, 0.35, 0.15, 0.15]),
        (TASKS, [0.5, 0.5], [0.429154, 0.175202, 0.131881, 0.263763]),
        ([group(197, leaf(197)), group(2159, leaf(544), leaf(1615))], [1, 0], [0.083616, 0.458192, 0.458192]),
        ([leaf(100), leaf(400), leaf(1600)], 0.5, [0.142857, 0.285714, 0.571429]),
    ],
)
def test_draws_are_as_probable_as_the_table_says(
    items: list[Any], temperature: Any, expected: list[float]
) -> None:
    mixture = Mixture(load_input_cfg(items), temperature)
    assert mixture.probabilities == pytest.approx(expected, abs=1e-6)
    found = Counter(itertools.islice(draws(mixture.probabilities, seed=11), 20000))
    counts = [found[number] for number in range(len(expected))]
    total = sum(expected)
    assert stats.chisquare(counts, [20000 * share / total for share in expected]).pvalue > 1e-3


def test_slots_draw_differently(studio: Any, build: Build) -> None:
    items = [leaf(1), {"type": "lhotse_shar", "shar_path": "b", "weight": 1}]
    studio.shar("x", 8, 4, "x")
    studio.shar("b", 8, 4, "b")
    dataset = build(input_cfg=items)

    def letters(slot: int, epoch: int = 0) -> str:
        return "".join(plan.cut.id[0] for plan in itertools.islice(dataset.plans(slot, 2, epoch), 60))

    assert letters(0) == letters(0)
    assert len({letters(0), letters(1), letters(0, 1)}) == 3


@pytest.mark.parametrize(
    ("temperature", "message"),
    [
        (
            0.5,
            "reweight_temperature is a scalar (0.5), broadcasting to all 2 levels. Expanded to: [0.5, 0.5]",
        ),
        ([1.0], "reweight_temperature has 1 values for 2 levels"),
        ([1.0, 0.5, 0.0], "reweight_temperature has 3 values for 2 levels"),
    ],
)
def test_warnings_come_once(studio: Any, build: Build, caplog: Any, temperature: Any, message: str) -> None:
    studio.shar("x", 4, 2)
    with caplog.at_level(logging.WARNING):
        build(input_cfg=[group(None, leaf(1))], reweight_temperature=temperature)
    assert sum(message in record.getMessage() for record in caplog.records) == 1
    assert len(caplog.records) == 1


def test_strict_temperatures(studio: Any, build: Build) -> None:
    studio.shar("x", 4, 2)
    with pytest.raises(
        DataError, match=r"list length \(3\) does not match the input_cfg nesting depth \(1\)"
    ):
        build(input_cfg=[leaf(1)], reweight_temperature=[1, 1, 1], reweight_strict=True)


def tar(path: Any, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture
def sources(studio: Any) -> Any:
    """One source of each type, and the cuts `n…` as files and in an archive."""
    studio.shar("x", 4, 2, "shar")
    studio.cuts(*studio.counted_cuts(3, prefix="lhotse"), name="c.jsonl.gz")
    studio.counted_cuts(3, prefix="n")
    lines = [{"noisy": f"n{i}.wav", "clean": f"n{i}-target.wav", "duration": 0.1} for i in range(3)]
    (studio.folder / "m.json").write_text("\n".join(map(json.dumps, lines)))
    members = {path.name: path.read_bytes() for path in sorted(studio.folder.glob("n*.wav"), reverse=True)}
    tar(studio.folder / "audio.tar", members)
    return studio


def every_type() -> list[Any]:
    keys = {"manifest_filepath": "m.json", "input_key": "noisy", "target_key": "clean"}
    return [
        {
            "type": "group",
            "weight": 0.5,
            "tags": {"task": "denoise", "level": 1},
            "input_cfg": [
                {"type": "lhotse_shar", "shar_path": "x", "weight": 600},
                {"type": "nemo", "weight": 100, "tags": {"level": 2}, **keys},
            ],
        },
        {
            "type": "group",
            "weight": 0.5,
            "tags": {"task": "dereverb"},
            "input_cfg": [
                {"type": "lhotse", "cuts_path": "c.jsonl.gz", "weight": 50},
                {"type": "nemo_tarred", "tarred_audio_filepath": "audio.tar", "weight": 200, **keys},
            ],
        },
    ]


def test_items_of_every_type(sources: Any, build: Build) -> None:
    dataset = build(input_cfg=every_type(), reweight_temperature=[1.0, 0.0])
    examples = list(itertools.islice(dataset.stream(0, 1, 0), 60))
    found = {(example.tags["task"], example.name[:2]) for example in examples}
    assert {(task, name[0]) for task, name in found} == {
        ("denoise", "s"),
        ("denoise", "n"),
        ("dereverb", "l"),
        ("dereverb", "n"),
    }
    for example in examples:
        assert (example.signals["target_signal"] == -example.signals["input_signal"]).all()
        if example.name.startswith("shar"):
            assert example.tags == {"task": "denoise", "level": "1"}
    assert {e.tags["level"] for e in examples if e.tags["task"] == "denoise" and e.name[0] == "n"} == {"2"}


def test_a_mixture_in_files(sources: Any, build: Build) -> None:
    import yaml

    (sources.folder / "inner.json").write_text(json.dumps(every_type()[1]["input_cfg"]))
    outer = [every_type()[0], {**every_type()[1], "input_cfg": "inner.json"}]
    (sources.folder / "outer.yaml").write_text(yaml.safe_dump({"input_cfg": outer}))
    dataset = build(input_cfg="outer.yaml", reweight_temperature=[1.0, 0.0])
    assert dataset.mixture.probabilities == [0.25] * 4


def test_a_finite_mixture_has_all_cuts_once(sources: Any, build: Build) -> None:
    dataset = build(input_cfg=every_type(), split="validation")
    assert len(dataset) == 4 + 3 + 3 + 3
    assert [dataset[index].name for index in range(13)][:4] == ["shar0", "shar1", "shar2", "shar3"]
    assert dataset[12].tags == {"task": "dereverb"}


def test_the_table_and_its_json(sources: Any, build: Build) -> None:
    mixture = build(input_cfg=every_type(), reweight_temperature=[1.0, 0.0]).mixture
    lines = mixture.table().splitlines()
    assert lines[0].split() == [
        "leaf", "path", "type", "location", "weight", "temperature", "probability", "tags"
    ]  # fmt: skip
    assert lines[2].split() == [
        "1", "input_cfg[0].input_cfg[1]", "nemo", "m.json", "100", "0", "0.250000", "task=denoise", "level=2"
    ]  # fmt: skip
    rows = json.loads(json.dumps(mixture.as_dict()))["mixture"]
    assert rows[3]["location"] == "audio.tar"
    assert rows[3]["tags"] == {"task": "dereverb"}
    assert sum(row["probability"] for row in rows) == pytest.approx(1.0)


@pytest.mark.parametrize("shared", [False, True])
def test_tarred_archives_by_range(sources: Any, build: Build, shared: bool) -> None:
    lines = []
    for shard in range(2):
        sources.counted_cuts(2, prefix=f"s{shard}-")
        paths = sorted(sources.folder.glob(f"s{shard}-*.wav"))
        tar(sources.folder / f"audio_{shard}.tar", {f"./{path.name}": path.read_bytes() for path in paths})
        mine = [
            {
                "audio_filepath": f"s{shard}-{i}.wav",
                "target_filepath": f"s{shard}-{i}-target.wav",
                "duration": 0.1,
                "shard_id": shard,
            }
            for i in range(2)
        ]
        lines += mine
        (sources.folder / f"tar_{shard}.json").write_text("\n".join(map(json.dumps, mine)))
    (sources.folder / "all.json").write_text("\n".join(map(json.dumps, lines)))
    item = {
        "type": "nemo_tarred",
        "manifest_filepath": "all.json" if shared else "tar__OP_0..1_CL_.json",
        "tarred_audio_filepaths": "audio_{0..1}.tar" if shared else "audio__OP_0..1_CL_.tar",
    }
    dataset = build(input_cfg=[item])
    slots = [{plan.cut.id for plan in itertools.islice(dataset.plans(slot, 2, 0), 2)} for slot in range(2)]
    assert slots[0] | slots[1] == {"s0-0.wav", "s0-1.wav", "s1-0.wav", "s1-1.wav"}


def test_a_member_that_is_missing(sources: Any, build: Build) -> None:
    tar(sources.folder / "audio.tar", {"n0.wav": (sources.folder / "n0.wav").read_bytes()})
    dataset = build(input_cfg=[every_type()[1]["input_cfg"][1]])
    with pytest.raises(DataError, match=r"audio\.tar: expected a member n0-target\.wav, as .*m\.json:1 says"):
        next(dataset.stream(0, 1, 0))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "Empty group in dataset config list"),
        ([{"type": "lhotze", "cuts_path": "x"}], "type='lhotze'.*did you mean 'lhotse'"),
        ([{"type": "lhotse"}], "expected `cuts_path` in an item of type lhotse"),
        ([{"type": "lhotse", "cuts_path": "x", "wieght": 1}], "got 'wieght'; did you mean 'weight'"),
        ([group(1)], r"Empty group in dataset config list: input_cfg\[0\]\.input_cfg"),
        ([leaf(1), leaf()], "Missing dataset weight"),
        ([leaf(1), leaf(0)], "All weights must be positive"),
        ([{"type": "lhotse", "cuts_path": "x", "tags": "task"}], "expected `tags` to be an object"),
        (
            [{"type": "lhotse", "cuts_path": "x", "max_duration": "1"}],
            "expected `max_duration` to be a number",
        ),
        ([{"type": "nemo", "manifest_filepath": "x", "input_key": 1}], "expected `input_key` to be a string"),
        ("missing.yaml", "missing.yaml"),
        (3, "expected a list of items"),
    ],
)
def test_mixtures_that_cannot_be(build: Build, items: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(input_cfg=items)


def test_manifests_can_be_streams(studio: Any, build: Build) -> None:
    path = studio.cuts(*studio.counted_cuts(5))
    dataset = build(cuts_path=path, force_iterable_dataset=True)
    slots = [
        [p.cut.id for p in itertools.islice(dataset.plans(slot, 2, 0), 2 + (slot == 0))] for slot in (0, 1)
    ]
    assert sorted(slots[0] + slots[1]) == [f"c{index}" for index in range(5)]


def test_streams_travel_to_workers(sources: Any, build: Build) -> None:
    dataset = build(input_cfg=every_type())
    copy = pickle.loads(pickle.dumps(dataset))
    for one, two in itertools.islice(zip(dataset.stream(1, 2, 3), copy.stream(1, 2, 3), strict=True), 10):
        assert one.name == two.name
        assert torch.equal(one.signals["input_signal"], two.signals["input_signal"])


def test_a_data_json_names_it() -> None:
    from nam_like.data.cuts import CutsDataset, CutsDatasetConfig
    from nam_like.registry import DATASETS

    entry = DATASETS.find("cuts")
    assert entry.load() is CutsDataset
    assert entry.load_config() is CutsDatasetConfig


def test_a_run_has_a_stream_and_something_finite_to_validate_by(sources: Any) -> None:
    from nam_like.config.data import DataConfig
    from nam_like.data.build import build_datasets

    keys = {"type": "cuts", "input_cfg": every_type()}
    config = DataConfig.model_validate({"train": keys, "validation": {"type": "cuts", "shar_path": "x"}})
    datasets = build_datasets(config, nx=1, folders=[sources.folder])
    assert datasets.train.streamed
    assert len(datasets.validation) == 4
    pair = DataConfig.model_validate({"train": [keys, keys], "validation": keys})
    with pytest.raises(DataError, match=r"train\[0\]: expected `train` to be one stream"):
        build_datasets(pair, nx=1, folders=[sources.folder])
