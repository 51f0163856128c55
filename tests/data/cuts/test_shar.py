"""Shar archives: exact round trips, disjoint parts, and what is missing."""

from __future__ import annotations

import itertools
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nam_like.data.base import DataError
from nam_like.data.cuts.stream import shuffled
from nam_like.data.stream_loader import StreamLoader

pytest.importorskip("lhotse")

Build = Callable[..., Any]


def names(dataset: Any, number: int, slot: int = 0, slots: int = 1, epoch: int = 0) -> list[str]:
    return [str(plan.cut.id) for plan in itertools.islice(dataset.plans(slot, slots, epoch), number)]


def test_a_round_trip_is_exact(studio: Any, build: Build) -> None:
    folder = studio.shar("shar", 10, 4)
    held = {cut.id: cut for cut in studio.counted_cuts(10)}
    dataset = build(shar_path=str(folder))
    for example in itertools.islice(dataset.stream(0, 1, 0), 10):
        cut = held.pop(example.name)
        assert np.array_equal(example.signals["input_signal"].numpy(), cut.load_audio())
        assert np.array_equal(example.signals["target_signal"].numpy(), cut.load_target_recording())
    assert not held


def test_windows_of_shar_are_synchronous(studio: Any, build: Build) -> None:
    folder = studio.shar("shar", 4, 2, seconds=0.5)
    dataset = build(shar_path=str(folder), truncate_duration=0.1)
    for example in itertools.islice(dataset.stream(0, 1, 0), 12):
        assert example.signals["input_signal"].shape == (1, 1600)
        assert torch.equal(example.signals["target_signal"], -example.signals["input_signal"])


def test_passes_repeat_endlessly_in_other_orders(studio: Any, build: Build) -> None:
    dataset = build(shar_path=str(studio.shar("shar", 12, 4)))
    found = names(dataset, 36)
    passes = [found[:12], found[12:24], found[24:]]
    assert all(sorted(one) == sorted(f"c{index}" for index in range(12)) for one in passes)
    assert len({tuple(one) for one in passes}) == 3
    assert passes[0] != names(dataset, 12, epoch=1)


def test_the_same_seed_gives_the_same_stream(studio: Any, build: Build) -> None:
    folder = str(studio.shar("shar", 12, 4))
    assert names(build(shar_path=folder), 30) == names(build(shar_path=folder), 30)
    assert names(build(shar_path=folder), 30) != names(build(shar_path=folder, seed=1), 30)
    fixed = [names(build(shar_path=folder, shard_seed=7, seed=seed), 30) for seed in (0, 1)]
    assert fixed[0] == fixed[1]


@pytest.mark.parametrize(("per_shard", "slots"), [(2, 3), (4, 2), (12, 4), (5, 4)])
def test_slots_share_every_pass(studio: Any, build: Build, per_shard: int, slots: int) -> None:
    """By archives where there are enough, by number where there are fewer."""
    dataset = build(shar_path=str(studio.shar("shar", 12, per_shard)))
    shards = -(-12 // per_shard)
    found: list[str] = []
    for slot in range(slots):
        mine = len(range(slot, shards, slots)) * per_shard if shards >= slots else len(range(slot, 12, slots))
        found += names(dataset, mine, slot, slots)
    assert sorted(found) == sorted(f"c{index}" for index in range(12))


@pytest.mark.parametrize("per_shard", [3, 12])
def test_workers_never_duplicate(studio: Any, build: Build, per_shard: int) -> None:
    dataset = build(shar_path=str(studio.shar("shar", 12, per_shard)), seed=3)
    loader = StreamLoader(dataset, 2, num_workers=2)
    batches = list(itertools.islice(loader, 6))
    firsts = [float(row[0, 0]) for batch in batches for row in batch["input_signal"]]
    assert len(set(firsts)) == 12
    again = list(itertools.islice(StreamLoader(dataset, 2, num_workers=2), 6))
    assert all(torch.equal(a["input_signal"], b["input_signal"]) for a, b in zip(batches, again, strict=True))


def test_fewer_cuts_than_slots_are_an_error(studio: Any, build: Build) -> None:
    dataset = build(shar_path=str(studio.shar("shar", 2, 2)))
    with pytest.raises(DataError, match=r"at least one cut .* for each of 3 processes and workers"):
        names(dataset, 2, 2, 3)


def test_lists_of_folders(studio: Any, build: Build) -> None:
    paths = [str(studio.shar("a", 6, 3, "a")), str(studio.shar("b", 2, 2, "b"))]
    assert build(shar_path=paths).mixture.probabilities == [0.75, 0.25]
    pairs = build(shar_path=[[paths[0], 1], [paths[1], 4]])
    assert pairs.mixture.probabilities == pytest.approx([0.2, 0.8])
    fields = {
        name: [str(path) for path in sorted(Path(paths[0]).glob(f"{name}.*"))]
        for name in ("cuts", "recording", "target_recording")
    }
    assert sorted(names(build(shar_path=fields), 6)) == [f"a{index}" for index in range(6)]


def test_finite_shar_is_a_dataset_by_number(studio: Any, build: Build) -> None:
    folder = str(studio.shar("shar", 5, 2))
    for keys in ({"force_finite": True}, {"force_map_dataset": True}, {"split": "validation"}):
        dataset = build(shar_path=folder, **keys)
        assert dataset.names == [f"c{index}" for index in range(5)]
        assert not getattr(dataset, "streamed", False)
        assert dataset[4].signals["input_signal"].shape == (1, 1600)


def test_slices_of_archives(studio: Any, build: Build) -> None:
    dataset = build(shar_path=str(studio.shar("shar", 12, 6)), slice_length=2, shuffle_buffer_size=0)
    found = [int(name[1:]) for name in names(dataset, 40)]
    assert all(two == one + 1 for one, two in zip(found[::2], found[1::2], strict=True))
    assert {index // 6 for index in found[:4]} == {0, 1}
    assert set(found) == set(range(12))


def test_a_folder_without_cuts(studio: Any, build: Build) -> None:
    (studio.folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"shar_path .*empty has no cuts\.\*\.jsonl\.gz"):
        build(shar_path="empty")


def test_a_missing_archive_of_one_field(studio: Any, build: Build) -> None:
    folder = studio.shar("shar", 6, 2)
    (folder / "target_recording.000001.tar").unlink()
    expected = "expected 3 shards of field 'target_recording', as there are of cuts, but got 2"
    with pytest.raises(DataError, match=expected):
        build(shar_path=str(folder))


def test_an_archive_that_ends_early(studio: Any, build: Build) -> None:
    """Lhotse would drop the rest without a word."""
    folder = studio.shar("shar", 4, 4)
    archive = folder / "target_recording.000000.tar"
    with tarfile.open(archive) as tar:
        kept = [(member, tar.extractfile(member)) for member in tar.getmembers()[:4]]
        contents = [(member, file.read()) for member, file in kept if file is not None]
    with tarfile.open(archive, "w") as tar:
        for member, content in contents:
            import io

            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match=r"target_recording\.000000\.tar: expected as many entries .* got 2"):
        names(build(shar_path=str(folder)), 4)


def test_archives_of_different_cuts(studio: Any, build: Build) -> None:
    first, second = studio.shar("a", 2, 2, "a"), studio.shar("b", 2, 2, "b")
    (second / "recording.000000.tar").replace(first / "recording.000000.tar")
    with pytest.raises(DataError, match="expected recording of cut a0, but got that of b0"):
        names(build(shar_path=str(first)), 1)


def test_the_buffer_gives_everything_once_and_reads_little_ahead() -> None:
    read = []

    def source() -> Any:
        for number in range(1000):
            read.append(number)
            yield number

    stream = shuffled(source(), 500, np.random.default_rng(0))
    next(stream)
    assert len(read) <= 18
    rest = list(stream)
    assert sorted([*rest, *set(range(1000)).difference(rest)]) == list(range(1000))
    assert len(rest) == 999
    moved = np.abs(np.array(rest) - np.arange(1, 1000))
    assert moved.mean() > 100


def test_a_buffer_of_one_keeps_the_order() -> None:
    assert list(shuffled(range(5), 0, np.random.default_rng(0))) == [0, 1, 2, 3, 4]
