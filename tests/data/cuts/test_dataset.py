"""Cuts by number: windows, rates, channels, and what must not be made up."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from nam_like.data.base import BatchIndices, DataError
from nam_like.errors import UserError

RATE = 16000

pytest.importorskip("lhotse")

Build = Callable[..., Any]


def test_input_and_target_lie_in_the_same_random_window(studio: Any, build: Build) -> None:
    path = studio.cuts(*studio.counted_cuts(4, 0.5))
    dataset = build(cuts_path=path, truncate_duration=0.1)
    starts = set()
    for epoch in range(3):
        dataset.set_epoch(epoch)
        for index in range(4):
            example = dataset[index]
            x, y = example.signals["input_signal"], example.signals["target_signal"]
            assert x.shape == y.shape == (1, 1600)
            assert torch.equal(y, -x)
            steps = torch.diff(x[0] * 32768)
            assert set(steps.tolist()) <= {1.0, -65520.0}
            starts.add(float(x[0, 0]))
    assert len(starts) == 12


def test_a_cut_that_begins_inside_its_recording(studio: Any, build: Build) -> None:
    (whole,) = studio.counted_cuts(1, 1.0)
    part = whole.truncate(offset=0.3, duration=0.4, preserve_id=True)
    dataset = build(cuts_path=studio.cuts(part))
    x = dataset[0].signals["input_signal"][0]
    assert len(x) == 6400
    assert float(x[0]) == (4800 - 32760) / 32768
    assert torch.equal(dataset[0].signals["target_signal"][0], -x)


@pytest.mark.parametrize(("kind", "first"), [("start", 0), ("end", 14400)])
def test_fixed_windows(studio: Any, build: Build, kind: str, first: int) -> None:
    path = studio.cuts(*studio.counted_cuts(1, 1.0))
    x = build(cuts_path=path, truncate_duration=0.1, truncate_offset_type=kind)[0].signals["input_signal"][0]
    assert float(x[0]) == (first - 32760) / 32768
    assert len(x) == 1600


def test_shorter_cuts_stay_whole(studio: Any, build: Build) -> None:
    path = studio.cuts(*studio.counted_cuts(1, 0.1))
    assert build(cuts_path=path, truncate_duration=4.0)[0].signals["input_signal"].shape == (1, 1600)


@pytest.mark.parametrize("offset", ["random", "start", "end"])
@pytest.mark.parametrize("rates", [(16000, 48000), (48000, 16000), (44100, 16000), (22050, 44100)])
def test_other_rates_are_resampled_and_stay_aligned(
    studio: Any, build: Build, rates: tuple[int, int], offset: str
) -> None:
    def chirp(rate: int) -> np.ndarray:
        time = np.arange(round(1.5 * rate)) / rate
        return 0.5 * np.sin(2 * np.pi * (200 * time + 800 * time**2))

    cut = studio.cut("chirp", chirp(rates[0]), chirp(rates[1]), *rates)
    dataset = build(cuts_path=studio.cuts(cut), truncate_duration=0.5, truncate_offset_type=offset)
    example = dataset[0]
    x, y = example.signals["input_signal"], example.signals["target_signal"]
    assert x.shape == y.shape == (1, 8000)
    # One sample of shift would be a difference of up to 0.4; at the ends the filter sees silence.
    assert float((x - y).abs().max()) < 0.02
    assert float((x - y)[:, 100:-100].abs().max()) < 2e-4


def test_a_resampled_window_equals_the_resampled_whole(studio: Any, build: Build) -> None:
    from nam_like.audio.resample import resample

    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48000)
    cut = studio.cut("noise", noise, noise, 48000)
    path = studio.cuts(cut)
    window = build(cuts_path=path, truncate_duration=0.5, truncate_offset_type="end")[0]
    stored = np.round(noise * 32768).astype(np.float32) / 32768
    expected = resample(stored, 48000, RATE)[8000:]
    assert np.allclose(window.signals["input_signal"][0].numpy()[:-1], expected[:-1], atol=2e-4)


def test_a_target_that_is_too_short_is_an_error_and_not_its_mirror_image(studio: Any, build: Build) -> None:
    x = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    path = studio.cuts(studio.cut("short", x, x[: RATE - 1600]))
    for keys in ({}, {"truncate_duration": 0.2, "truncate_offset_type": "start"}):
        dataset = build(cuts_path=path, **keys)
        expected = r"cut short: expected target_recording of at least 1\.0000 s.*0\.9000 s"
        with pytest.raises(DataError, match=expected):
            dataset[0]


def test_a_file_shorter_than_its_manifest_says_is_an_error(studio: Any, build: Build) -> None:
    path = studio.cuts(*studio.counted_cuts(1, 1.0))
    studio.wav("c0-target.wav", np.zeros(RATE - 1600))
    dataset = build(cuts_path=path)
    with pytest.raises(DataError, match=r"cut c0: target_recording: expected 16000 samples.*got 14400"):
        dataset[0]


def test_a_missing_target(studio: Any, build: Build) -> None:
    path = studio.cuts(studio.cut("alone", np.zeros(800)))
    with pytest.raises(DataError, match=r"^cut alone has no target_recording$"):
        build(cuts_path=path)[0]
    assert set(build(cuts_path=path, require_target=False)[0].signals) == {"input_signal"}


def test_a_missing_file_is_named(studio: Any, build: Build) -> None:
    path = studio.cuts(*studio.counted_cuts(1))
    (studio.folder / "c0.wav").unlink()
    with pytest.raises(DataError, match=r"cut c0: recording: expected audio in .*c0\.wav"):
        build(cuts_path=path)[0]


def test_examples_depend_on_seed_epoch_and_index_only(studio: Any, build: Build) -> None:
    path = studio.cuts(*studio.counted_cuts(4, 0.5))
    noise = studio.cuts(studio.cut("hiss", np.random.default_rng(1).uniform(-0.1, 0.1, 9000)), name="n.jsonl")
    keys = {"cuts_path": path, "truncate_duration": 0.1, "noise_path": noise, "rir_enabled": True}

    def signals(dataset: Any, epoch: int, order: list[int]) -> list[torch.Tensor]:
        dataset.set_epoch(epoch)
        found = {index: dataset[index].signals["input_signal"] for index in order}
        return [found[index] for index in range(4)]

    first, second = build(**keys), build(**keys)
    one, two = signals(first, 3, [0, 1, 2, 3]), signals(second, 3, [3, 1, 0, 2])
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0], signals(first, 4, [0, 1, 2, 3])[0])
    assert not torch.equal(one[0], signals(build(seed=1, **keys), 3, [0, 1, 2, 3])[0])
    assert not torch.equal(one[0], signals(build(run_seed=1, **keys), 3, [0, 1, 2, 3])[0])


def test_a_batch_is_padded_and_knows_its_epoch(studio: Any, build: Build) -> None:
    path = studio.cuts(*studio.counted_cuts(1, 0.1), *studio.counted_cuts(1, 0.2, "d"))
    dataset = build(cuts_path=path)
    batch = dataset.__getitems__(BatchIndices([0, 1], epoch=5))
    assert dataset.epoch == 5
    assert batch["input_signal"].shape == batch["target_signal"].shape == (2, 1, 3200)
    assert batch["input_length"].tolist() == [1600, 3200]
    assert dataset.names == ["c0", "d0"]


def test_duration_limits_are_on_the_whole_cut(studio: Any, build: Build) -> None:
    cuts = [studio.counted_cuts(1, seconds, f"{seconds}-")[0] for seconds in (0.1, 0.2, 0.3, 0.4)]
    path = studio.cuts(*cuts)
    dataset = build(cuts_path=path, min_duration=0.2, max_duration=0.3, truncate_duration=0.1)
    assert dataset.names == ["0.2-0", "0.3-0"]
    with pytest.raises(DataError, match="at least one cut from 1 to inf s"):
        build(cuts_path=path, min_duration=1.0)


def test_normalization(studio: Any, build: Build) -> None:
    path = studio.cuts(studio.cut("x", 0.25 * np.sin(np.arange(1600)), 0.125 * np.sin(np.arange(1600))))
    signals = build(cuts_path=path, normalization_signal="input_signal")[0].signals
    assert float(signals["input_signal"].abs().max()) == pytest.approx(1.0, abs=1e-6)
    assert float(signals["target_signal"].abs().max()) == pytest.approx(0.5, abs=1e-3)
    with pytest.raises(DataError, match="cut x: expected a reference_signal"):
        build(cuts_path=path, normalization_signal="reference_signal")[0]


def stereo(studio: Any) -> Any:
    x = np.stack([np.full(800, 0.1), np.full(800, 0.2), np.full(800, 0.3)])
    cut = studio.cut("many", x, x)
    cut.custom.update(target_recording_channel_selector=2, best=1, pair=[2, 0])
    return cut


@pytest.mark.parametrize(
    ("selector", "levels"), [(None, [0.1, 0.2, 0.3]), (1, [0.2]), ("best", [0.2]), ("pair", [0.3, 0.1])]
)
def test_channels(studio: Any, build: Build, selector: Any, levels: list[float]) -> None:
    signals = build(cuts_path=studio.cuts(stereo(studio)), channel_selector=selector)[0].signals
    assert signals["input_signal"][:, 0].tolist() == pytest.approx(levels, abs=1e-4)
    assert signals["target_signal"][:, 0].tolist() == pytest.approx([0.3], abs=1e-4)


def test_channels_that_are_not_there(studio: Any, build: Build) -> None:
    cut = stereo(studio)
    with pytest.raises(DataError, match="Channel index 3 is larger than the actual number of channels 3"):
        build(cuts_path=studio.cuts(cut), channel_selector=3)[0]
    with pytest.raises(DataError, match="expected the cut's custom field loudest"):
        build(cuts_path=studio.cuts(cut), channel_selector="loudest")[0]
    cut.custom["target_recording_channel_selector"] = 4
    with pytest.raises(DataError, match="target_recording: Channel index 4 is larger"):
        build(cuts_path=studio.cuts(cut))[0]


def test_cuts_of_different_channels_do_not_share_a_batch(studio: Any, build: Build) -> None:
    path = studio.cuts(stereo(studio), *studio.counted_cuts(1))
    with pytest.raises(DataError, match="c0: expected 3 channels of input_signal, as many has, but got 1"):
        build(cuts_path=path).batch(torch.tensor([0, 1]))


def test_reference_and_embedding(studio: Any, build: Build) -> None:
    (cut,) = studio.counted_cuts(1, 0.5)
    cut.reference_recording = studio.recording("voice", np.full(3000, 0.5), 8000)
    cut.custom["reference_recording_unaligned"] = True
    vector = np.arange(5, dtype=np.float32)
    np.save(studio.folder / "vector.npy", vector)
    from lhotse.array import Array

    cut.embedding_vector = Array("numpy_files", ".", "vector.npy", [5])
    example = build(cuts_path=studio.cuts(cut), truncate_duration=0.1)[0]
    assert example.signals["input_signal"].shape == (1, 1600)
    assert example.signals["reference_signal"].shape == (1, 6000)
    assert example.embedding is not None
    assert example.embedding.tolist() == vector.tolist()


def test_paths_begin_in_the_folder_of_the_manifest(studio: Any, build: Build, monkeypatch: Any) -> None:
    path = studio.cuts(*studio.counted_cuts(1), name="deep/cuts.jsonl")
    lines = (studio.folder / "deep/cuts.jsonl").read_text().replace(f"{studio.folder}/", "../")
    (studio.folder / "deep/cuts.jsonl").write_text(lines)
    monkeypatch.chdir("/")
    assert '"../c0.wav"' in lines
    assert build(cuts_path=path)[0].signals["input_signal"].shape == (1, 1600)
    assert build(cuts_path="deep/cuts.jsonl")[0].name == "c0"


def test_mixed_cuts_have_their_target_where_the_track_lies(studio: Any, build: Build) -> None:
    whole, other = studio.counted_cuts(2, 0.5)
    inner = whole.truncate(offset=0.25, duration=0.2)
    joined = inner.pad(duration=0.3).append(other)
    joined.id = "joined"
    dataset = build(cuts_path=studio.cuts(joined))
    signals = dataset[0].signals
    x, y = signals["input_signal"][0], signals["target_signal"][0]
    assert x.shape == y.shape == (12800,)
    assert float(x[0]) == (4000 - 32760) / 32768
    assert torch.equal(y, -x)


def test_a_manifest_of_nemo(studio: Any, build: Build, caplog: Any) -> None:
    studio.counted_cuts(2, 0.5)
    lines = [
        {"noisy": "c0.wav", "clean": "c0-target.wav", "duration": 0.4, "offset": 0.1, "text": "x"},
        {"noisy": ["c0.wav", "c1.wav"], "clean": "c0-target.wav", "duration": 0.504},
        {"noisy": "c0.wav", "clean": "c0-target.wav", "duration": 9.0},
    ]
    manifest = studio.folder / "manifest.json"
    manifest.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    keys = {"manifest_filepath": str(manifest), "input_key": "noisy", "max_duration": 1.0}
    dataset = build(target_key="clean", **keys)
    assert len(dataset) == 2
    x, y = dataset[0].signals["input_signal"], dataset[0].signals["target_signal"]
    assert x.shape == (1, 6400)
    assert torch.equal(y, -x)
    assert float(x[0, 0]) == (1600 - 32760) / 32768
    assert dataset[1].signals["input_signal"].shape == (2, 8000)
    whole = build(target_key="clean", **{**keys, "max_duration": None})
    assert whole[2].signals["input_signal"].shape == (1, 8000)
    assert "manifest.json:3: `duration` of 9 s ends behind its file, which has 0.5 s" in caplog.text
    message = r"manifest\.json:1: key 'klean' not found; keys present: noisy, clean, duration"
    with pytest.raises(DataError, match=message):
        build(target_key="klean", **keys)


def test_wrong_lines_are_told_with_their_place(studio: Any, build: Build) -> None:
    (studio.folder / "bad.jsonl").write_text('{"id": "a", "duration": 1.0, "type": "MonoCut"}\nnot json\n')
    with pytest.raises(DataError, match=r"bad\.jsonl:2: expected a JSON object, but got 'not json'"):
        build(cuts_path="bad.jsonl")
    (studio.folder / "bad.jsonl").write_text('{"id": "a", "duration": 1.0, "start": 0, "type": "MonoCut"}\n')
    with pytest.raises(DataError, match=r"bad\.jsonl:1: cut a"):
        build(cuts_path="bad.jsonl")[0]
    (studio.folder / "bad.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match=r"bad\.jsonl:1: expected `duration` to be positive"):
        build(cuts_path="bad.jsonl")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("audio_duration", "truncate_duration"),
        ("random_offset", "truncate_offset_type"),
        ("target_channel_selector", "target_recording_channel_selector"),
        ("batch_size", "learning.json"),
        ("use_lhotse", '"type": "cuts"'),
        ("perturb_speed", "leave the target"),
        ("truncate_duratoin", "did you mean 'truncate_duration'"),
    ],
)
def test_keys_that_are_something_else_here(build: Build, key: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        build(cuts_path="cuts.jsonl", **{key: 1})


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "You must specify either: cuts_path"),
        ({"cuts_path": "a", "shar_path": "b"}, "got cuts_path and shar_path"),
        ({"cuts_path": "a", "noise_snr": [20, 10]}, "lowest, highest"),
        ({"cuts_path": "a", "shard_seed": "trng"}, "randomized"),
        ({"cuts_path": "a", "rir_prob": 1.5}, "rir_prob"),
        ({"cuts_path": "a", "truncate_offset_type": "middle"}, "truncate_offset_type"),
        ({"cuts_path": "a", "force_finite": True, "force_iterable_dataset": True}, "without force_finite"),
    ],
)
def test_configs_that_cannot_be(build: Build, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        build(**keys)


def test_without_lhotse_the_extra_is_named(build: Build, monkeypatch: Any) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lhotse", None)
    with pytest.raises(UserError, match=r"pip install 'nam_like\[speech\]'"):
        build(cuts_path="cuts.jsonl")


def test_what_libsndfile_cannot_seek_is_read_by_lhotse(studio: Any, build: Build) -> None:
    """A lossy format, and a recording that Lhotse changes while it reads."""
    time = np.arange(RATE) / RATE
    x = 0.25 * np.sin(2 * np.pi * 440 * time)
    import soundfile
    from lhotse import Recording

    soundfile.write(studio.folder / "x.ogg", x, RATE)
    cut = studio.cut("x", x, x)
    cut.recording = Recording.from_file(studio.folder / "x.ogg")
    cut.target_recording = cut.target_recording.perturb_volume(2.0)
    signals = build(cuts_path=studio.cuts(cut), truncate_duration=0.5, truncate_offset_type="end")[0].signals
    assert signals["input_signal"].shape == signals["target_signal"].shape == (1, 8000)
    assert np.allclose(signals["input_signal"][0], x[8000:], atol=0.02)
    assert np.allclose(signals["target_signal"][0], 2 * x[8000:], atol=1e-3)


def test_lhotse_may_not_invent_audio_and_is_left_as_it_was(studio: Any, build: Build) -> None:
    from lhotse.audio import get_audio_duration_mismatch_tolerance

    before = get_audio_duration_mismatch_tolerance()
    x = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    cut = studio.cut("short", x, x)
    cut.target_recording = cut.target_recording.perturb_volume(2.0)
    studio.wav("short-target.wav", x[: RATE - 1600])
    dataset = build(cuts_path=studio.cuts(cut))
    with pytest.raises(DataError, match=r"cut short: target_recording: expected audio, but got"):
        dataset[0]
    assert get_audio_duration_mismatch_tolerance() == before == 0.5


def test_datasets_travel_to_workers(studio: Any, build: Build) -> None:
    import pickle

    from nam_like.data.loader import make_dataloader

    noise = studio.cuts(studio.cut("hiss", np.random.default_rng(1).uniform(-0.1, 0.1, 9000)), name="n.jsonl")
    dataset = build(
        cuts_path=studio.cuts(*studio.counted_cuts(8, 0.2)),
        truncate_duration=0.1,
        noise_path=noise,
        rir_enabled=True,
    )
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy[3].signals["input_signal"], dataset[3].signals["input_signal"])
    options = {"batch_size": 2, "shuffle": True}
    alone = list(make_dataloader(dataset, options, train=True, seed=5))
    shared = list(make_dataloader(dataset, {**options, "num_workers": 2}, train=True, seed=5))
    assert len(alone) == 4
    for one, two in zip(alone, shared, strict=True):
        assert torch.equal(one["input_signal"], two["input_signal"])
        assert torch.equal(one["target_signal"], two["target_signal"])
    targets = torch.cat([batch["target_signal"][:, 0, 0] for batch in alone])
    assert len(set(targets.tolist())) == 8


def test_a_run_can_record_what_it_was_trained_on(studio: Any, build: Build) -> None:
    path = studio.cuts(*studio.counted_cuts(1), name="street.jsonl.gz")
    dataset = build(cuts_path=path)
    assert ([str(item) for item in dataset.lists], dataset.name) == ([path], "street")
