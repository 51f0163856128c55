"""Examples of manifest datasets: segments, alignment, references, embeddings, normalisation, randomness."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from harness.manifests import RATE, MakeDataset, Write, indices, ramp

from nam_like.data.base import DataError
from nam_like.data.loader import make_dataloader
from nam_like.data.manifest import ManifestDataset
from nam_like.data.manifest.lines import ManifestEntry
from nam_like.data.speech_batch import Example

LINE = {"audio_filepath": "a.wav", "target_filepath": "t.wav"}


def signal(example: Example, name: str = "input") -> list[int]:
    """The indices that a signal of one channel tells."""
    found = example.signals[f"{name}_signal"]
    assert found.dtype == torch.float32
    assert found.shape[0] == 1
    return indices(found[0])


def clicks(rate: int, times: list[float], seconds: float = 3.0) -> np.ndarray:
    """Band-limited clicks: narrow Gaussians at the given times (s)."""
    time = np.arange(int(rate * seconds)) / rate
    return sum(0.5 * np.exp(-0.5 * ((time - at) / 0.5e-3) ** 2) for at in times)


def test_whole_lines_without_a_duration(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(4000))
    data = dataset(
        [
            {**LINE, "duration": 0.25},
            {**LINE, "offset": 0.05, "duration": 0.1},
            {**LINE, "offset": 0.125, "duration": 0.12},  # 5 ms before the end of the file
        ]
    )
    assert [signal(data[number]) for number in range(3)] == [
        list(range(4000)),
        list(range(800, 2400)),
        list(range(2000, 4000)),
    ]
    assert data[-1].name == data[2].name == "a.wav at 0.125 s"


@pytest.mark.parametrize(
    ("offset", "audio_duration", "expected"),
    [
        (0.0, 0.1, (0, 1600)),
        (0.05, 0.1, (800, 2400)),
        (0.2, 0.1, (3200, 4000)),  # shorter
        (0.0, 0.25, (0, 4000)),
        (0.0, 9.0, (0, 4000)),
    ],
)
def test_segments_of_a_fixed_place(
    offset: float, audio_duration: float, expected: tuple[int, int], write: Write, dataset: MakeDataset
) -> None:
    write("a.wav", ramp(4000))
    data = dataset(
        [{**LINE, "offset": offset, "duration": 0.25 - offset}],
        audio_duration=audio_duration,
        split="validation",
    )
    assert signal(data[0]) == list(range(*expected))


def test_two_seconds_are_what_nets_are_told(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(40000))
    for seconds, samples in ((2.0, 32000), (2.04, 32640)):
        assert len(signal(dataset([{**LINE, "duration": 2.5}], audio_duration=seconds)[0])) == samples


def test_random_places_stay_within_the_line(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(8000))
    data = dataset([{**LINE, "offset": 0.1, "duration": 0.2}] * 40, audio_duration=0.05, random_offset=True)
    starts = []
    for epoch in range(5):
        data.set_epoch(epoch)
        for example in map(data.__getitem__, range(40)):
            place = signal(example)
            assert place == list(range(place[0], place[0] + 800))
            starts.append(place[0])
    assert 1600 <= min(starts) < 1700
    assert 3900 < max(starts) <= 4000
    assert len(set(starts)) > 150


def test_random_places_depend_on_seed_epoch_and_index_only(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(8000))
    keys: dict[str, Any] = {"audio_duration": 0.05, "random_offset": True}
    lines = [{**LINE, "duration": 0.5}] * 6

    def starts(seed: int, epoch: int, order: Any = range(6), split: str = "train") -> dict[int, int]:
        data = dataset(lines, seed=seed, split=split, **keys)
        data.set_epoch(epoch)
        return {index: signal(data[index])[0] for index in order}

    assert starts(1, 0) == starts(1, 0, order=[5, 0, 3, 1, 2, 4])
    assert len(set(starts(1, 0).values())) == 6
    assert starts(1, 0) != starts(1, 1)
    assert starts(1, 0) != starts(2, 0)
    assert set(starts(1, 0, split="validation").values()) == {0}


@pytest.mark.parametrize("rates", [(16000, 16000), (16000, 48000), (44100, 22050), (48000, 8000)])
def test_input_and_target_stay_aligned(rates: tuple[int, int], write: Write, dataset: MakeDataset) -> None:
    times = [0.4, 0.77, 1.13, 1.5, 1.81, 2.29, 2.6]
    for name, rate in zip(("a.wav", "t.wav"), rates, strict=True):
        write(name, clicks(rate, times), rate)
    data = dataset(
        [{**LINE, "duration": 3.0}] * 8, target_key="target_filepath", audio_duration=0.9, random_offset=True
    )
    for index in range(8):
        (span,) = set(data.spans(index).values())
        heard, wanted = (data[index].signals[f"{name}_signal"][0].numpy() for name in ("input", "target"))
        assert heard.shape == wanted.shape == (14400,)
        # Both are the closed form at the times of our samples, so they are in time with each other.
        expected = clicks(RATE, times)[span.start : span.stop]
        np.testing.assert_allclose(heard, expected, atol=3e-6)
        np.testing.assert_allclose(wanted, expected, atol=3e-6)


def test_a_short_target_is_an_error(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(16000))
    write("t.wav", ramp(14400))
    line = {**LINE, "duration": 1.0}
    with pytest.raises(
        DataError, match=r"manifest.json:1: .*t.wav: expected at least 1 s, .*, but got only 0.9 s"
    ):
        dataset([line], target_key="target_filepath")
    # Also where a segment of it would have been long enough.
    with pytest.raises(DataError, match=r"but got only 0.9 s"):
        dataset([line], target_key="target_filepath", audio_duration=0.1)
    write("t.wav", ramp(15990))
    example = dataset([line], target_key="target_filepath")[0]
    assert signal(example) == signal(example, "target") == list(range(15990))


def test_a_line_beyond_its_file_is_reported_once(
    write: Write, dataset: MakeDataset, caplog: pytest.LogCaptureFixture
) -> None:
    write("a.wav", ramp(4000))
    with caplog.at_level(logging.WARNING):
        data = dataset([{**LINE, "duration": 0.3}] * 3)
        assert [len(signal(data[index])) for index in range(3)] == [4000] * 3
    assert len(caplog.messages) == 1
    assert "manifest.json:1: the entry goes to 0.3 s, but" in caplog.text


def test_files_of_other_lengths_are_reported_once(
    write: Write, dataset: MakeDataset, caplog: pytest.LogCaptureFixture
) -> None:
    write("a.wav", ramp(1600))
    write("b.wav", ramp(8000))
    pair = {"x": "a.wav", "y": "b.wav"}
    keys = {"input_key": "x", "target_key": "y"}
    with caplog.at_level(logging.WARNING):
        dataset([{**pair, "duration": 0.05}, {"x": "b.wav", "y": "b.wav", "duration": 0.5}], **keys)
        assert not caplog.messages  # a part that both have, and a pair
        dataset([{**pair, "duration": 0.1}] * 2, **keys)
    (message,) = caplog.messages
    assert "a.wav has 0.1 s, but" in message
    assert "b.wav has 0.5 s: the first 0.1 s are used; do they belong together?" in message


def test_an_offset_behind_the_end(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(4000))
    with pytest.raises(DataError, match=r"manifest.json:2: expected `offset` to be less than the 0.25 s"):
        dataset([{**LINE, "duration": 0.2}, {**LINE, "offset": 0.25, "duration": 0.1}])


def test_several_files_and_channels(write: Write, dataset: MakeDataset) -> None:
    write("1.wav", np.stack([ramp(800, 10000), ramp(800, 20000)], axis=1))
    write("2.wav", np.stack([ramp(800, 30000), ramp(800, 40000)], axis=1))
    line = {"x": ["1.wav", "2.wav"], "y": "2.wav", "duration": 0.05}
    data = dataset(
        [line], input_key="x, y", target_key="y", input_channel_selector=1, target_channel_selector="average"
    )
    signals = data[0].signals
    assert indices(signals["input_signal"][:, 5]) == [20005, 40005, 40005]
    assert indices(signals["target_signal"][:, 5]) == [35005]
    with pytest.raises(
        DataError, match=r"json:1: .*1.wav: expected `input_channel_selector` to choose channels"
    ):
        dataset([line], input_key="x", input_channel_selector=[0, 2])


def test_a_reference_in_time_is_cut_with_its_input(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(8000))
    write("r.wav", ramp(9000, 100000))
    data = dataset(
        [{**LINE, "r": "r.wav", "duration": 0.5}], reference_key="r", audio_duration=0.1, random_offset=True
    )
    example = data[0]
    assert [index - 100000 for index in signal(example, "reference")] == signal(example)
    write("r.wav", ramp(7000))
    with pytest.raises(DataError, match=r"r.wav: expected at least 0.5 s"):
        dataset([{**LINE, "r": "r.wav", "duration": 0.5}], reference_key="r")


def test_a_reference_of_its_own_is_cut_by_itself(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(8000))
    write("r.wav", ramp(4000, 100000))
    line = {**LINE, "r": "r.wav", "offset": 0.3, "duration": 0.2}
    keys: dict[str, Any] = {"reference_key": "r", "reference_is_synchronized": False}
    example = dataset([line], **keys)[0]
    assert signal(example) == list(range(4800, 8000))
    assert signal(example, "reference") == list(range(100000, 104000))
    keys |= {"reference_duration": 0.1, "audio_duration": 0.1}
    assert signal(dataset([line], **keys)[0], "reference") == list(range(100000, 101600))
    data = dataset([line] * 30, random_offset=True, **keys)
    starts = [(signal(e)[0], signal(e, "reference")[0]) for e in map(data.__getitem__, range(30))]
    assert min(one for one, _ in starts) >= 4800
    assert max(one for one, _ in starts) <= 6400
    assert 100000 <= min(other for _, other in starts) < 100600
    assert 101800 < max(other for _, other in starts) <= 102400
    gaps = {other - one for one, other in starts}
    assert len(gaps) > 20  # each has a place of its own
    assert len(signal(dataset([line], **{**keys, "reference_duration": 7.0})[0], "reference")) == 4000


def test_embeddings_come_along(tmp_path: Path, write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(800))
    np.save(tmp_path / "e.npy", np.arange(3.0))
    data = dataset(
        [{**LINE, "e": "e.npy", "duration": 0.05}], embedding_key="e", normalization_signal="input_signal"
    )
    embedding = data[0].embedding
    assert embedding is not None
    assert embedding.tolist() == [0.0, 1.0, 2.0]
    batch = data.batch(torch.tensor([0, 0]))
    assert batch["embedding_vector"].shape == (2, 3)


@pytest.mark.parametrize("name", ["input", "target", "reference"])
def test_all_signals_are_divided_by_one_peak(name: str, write: Write, dataset: MakeDataset) -> None:
    rng = np.random.default_rng(0)
    raw = {}
    for number, role in enumerate(("input", "target", "reference")):
        raw[role] = rng.uniform(-1, 1, (1600, 2)).astype(np.float32) * 0.2 * (number + 1)
        raw[role][1500, 1] = 0.9  # outside of the segment
        write(f"{role}.wav", raw[role])
    roles = {f"{role}_key": role for role in raw}
    line = {**{role: f"{role}.wav" for role in raw}, "duration": 0.1}
    example = dataset([line], audio_duration=0.05, normalization_signal=f"{name}_signal", **roles)[0]
    peak = np.abs(raw[name][:800]).max() + 1e-8
    for role, samples in raw.items():
        np.testing.assert_allclose(
            example.signals[f"{role}_signal"].numpy(), samples[:800].T / peak, rtol=1e-6
        )


def test_silence_stays_silence(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", np.zeros(100))
    data = dataset([{**LINE, "duration": 0.00625}], normalization_signal="input_signal")
    assert data[0].signals["input_signal"].abs().max() == 0.0


def test_names_tell_examples_apart(write: Write, dataset: MakeDataset, tmp_path: Path) -> None:
    write("a.wav", ramp(800))
    write("sub/b.wav", ramp(800))
    lines = [
        {"audio_filepath": "a.wav", "duration": 0.02, "speaker": "p1", "snr": 3},
        {"audio_filepath": "sub/b.wav", "duration": 0.05},
        {"audio_filepath": "a.wav", "duration": 0.02, "offset": 0.02},
        {"audio_filepath": "a.wav", "duration": 0.01, "offset": 0.02},
    ]
    data = dataset(lines)
    place = tmp_path / "manifest.json"
    assert data.names == [
        "a.wav at 0 s",
        "sub/b.wav",
        f"a.wav at 0.02 s ({place}:3)",
        f"a.wav at 0.02 s ({place}:4)",
    ]
    assert data[0].tags == {"speaker": "p1"}
    assert data.entries[0].metadata == {"speaker": "p1", "snr": 3}


def test_batches_are_padded_and_know_their_lengths(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(1600, 1))
    write("t.wav", ramp(1600, 1))
    data = dataset(
        [{**LINE, "duration": 0.1}, {**LINE, "duration": 0.05}, {**LINE, "duration": 0.025}],
        target_key="target_filepath",
    )
    (batch,) = make_dataloader(data, {"batch_size": 3}, train=False)
    assert {key: tuple(value.shape) for key, value in batch.items()} == {
        "input_signal": (3, 1, 1600),
        "input_length": (3,),
        "target_signal": (3, 1, 1600),
        "target_length": (3,),
    }
    assert batch["input_length"].tolist() == [1600, 800, 400]
    for row in range(3):
        alone = data.batch(torch.tensor([row]))
        length = int(alone["input_length"])
        assert torch.equal(batch["target_signal"][row, :, :length], alone["target_signal"][0])
        assert not batch["target_signal"][row, :, length:].any()


def test_workers_read_what_the_process_reads(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(8000))
    data = dataset([{**LINE, "duration": 0.5}] * 7, audio_duration=0.05, random_offset=True)
    epochs: dict[int, list[list[float]]] = {}
    for workers in (0, 2):
        loader = make_dataloader(
            data, {"batch_size": 2, "shuffle": True, "num_workers": workers}, train=True, seed=3
        )
        loader.set_epoch(4)
        epochs[workers] = [row.tolist() for batch in loader for row in batch["input_signal"][:, 0, 0]]
    assert epochs[0] == epochs[2]
    assert len(set(map(float, epochs[0]))) == 7  # type: ignore[arg-type]
    assert signal(pickle.loads(pickle.dumps(data))[3]) == signal(data[3])


def test_headers_are_looked_at_before_training(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(800))
    write("b.wav", np.zeros((800, 2)))
    stereo, mono = ({"audio_filepath": name, "duration": 0.05} for name in ("b.wav", "a.wav"))
    with pytest.raises(DataError, match=r"manifest.json:64: .*a.wav: expected `input_channel_selector`"):
        dataset([stereo] * 63 + [mono], input_channel_selector=1)
    # Of more lines than these, some: a header that is not looked at is not read.
    data = dataset([stereo] * 999 + [mono], input_channel_selector=1)
    with pytest.raises(DataError, match=r"manifest.json:1000: .*a.wav: expected `input_channel_selector`"):
        data.check(range(len(data)))


def test_a_file_that_went_bad_is_placed(tmp_path: Path, write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(800))
    lines = [{"audio_filepath": "a.wav", "duration": 0.05}] * 2
    data = dataset(lines)
    (tmp_path / "a.wav").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"^.*manifest.json:2: .*a.wav: truncated or damaged"):
        data[1]
    with pytest.raises(DataError, match=r"^.*manifest.json:1: .*a.wav: not an audio file"):
        dataset(lines)


def test_what_cannot_be_a_dataset() -> None:
    with pytest.raises(DataError, match="at least one entry, but got none"):
        ManifestDataset([], sample_rate=RATE)
    entry = ManifestEntry(Path("m.json"), 1, 0.0, 1.0, "a", {"input": ("/nowhere/a.wav",)})
    with pytest.raises(DataError, match=r"m.json:1: /nowhere/a.wav: no such file"):
        ManifestDataset([entry], sample_rate=RATE)


def test_indices_are_checked(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(800))
    data = dataset([{**LINE, "duration": 0.05}] * 2)
    for index in (2, -3):
        with pytest.raises(IndexError, match=f"from 0 to 1, but got {index}"):
            data[index]
    assert len(data) == 2


def test_no_duration_is_less_than_a_sample(write: Write, dataset: MakeDataset) -> None:
    write("a.wav", ramp(800))
    with pytest.raises(
        DataError, match=r"`audio_duration` to be at least one sample of 16000 Hz, but got 1e-05 s"
    ):
        dataset([{**LINE, "duration": 0.05}], audio_duration=1e-5)
