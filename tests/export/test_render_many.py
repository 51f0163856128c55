"""Many files through one model: the same samples as each alone, for any number of threads."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from nam_like.errors import UserError
from nam_like.export.nam_read import load_nam
from nam_like.export.player import Player
from nam_like.export.render import Dry, RenderResult, render_file, render_through
from nam_like.export.render_many import cores, render_many
from nam_like.native.library import using

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
NANO = GOLDEN / "wn_a1_nano" / "model.nam"
LSTM = GOLDEN / "lstm_1x8" / "model.nam"
PLUCK = np.load(GOLDEN / "inputs" / "pluck.npy")


def write(path: Path, start: int, samples: int) -> Path:
    soundfile.write(path, PLUCK[start : start + samples], 48000, subtype="FLOAT")
    return path


def samples_of(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


@pytest.mark.parametrize("choice", ["auto", "off"])
@pytest.mark.parametrize("model", [NANO, LSTM], ids=["wavenet", "lstm"])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_every_file_is_as_if_it_were_alone(tmp_path: Path, choice: str, model: Path, threads: int) -> None:
    files = [write(tmp_path / f"{number}.wav", 300 * number, 800 - 100 * number) for number in range(4)]
    pairs = [(Dry(path), tmp_path / "out" / path.name) for path in files]
    with using(choice):
        results = list(render_many(load_nam(model), pairs, threads=threads))
        for path, (_, output), result in zip(files, pairs, results, strict=True):
            assert isinstance(result, RenderResult)
            assert result.path == output
            alone = tmp_path / "alone.wav"
            render_file(model, path, alone)
            np.testing.assert_array_equal(samples_of(output), samples_of(alone))


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 700), min_size=1, max_size=6),
    threads=st.integers(1, 4),
    order=st.randoms(use_true_random=False),
)
def test_neither_order_nor_threads_change_a_sample(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], threads: int, order: object
) -> None:
    folder = tmp_path_factory.mktemp("many")
    model = load_nam(LSTM)
    pairs = [
        (Dry(write(folder / f"{number}.wav", 50 * number, length)), folder / f"{number}_wet.wav")
        for number, length in enumerate(lengths)
    ]
    order.shuffle(pairs)  # type: ignore[attr-defined]
    assert [getattr(result, "path", result) for result in render_many(model, pairs, threads=threads)] == [
        output for _, output in pairs
    ]
    for dry, output in pairs:
        np.testing.assert_array_equal(samples_of(output), Player(model).process(samples_of(dry.path)))


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    good, broken = write(tmp_path / "a.wav", 0, 500), tmp_path / "b.wav"
    broken.write_bytes(b"no audio at all")
    pairs = [(Dry(path), tmp_path / f"{number}.wav") for number, path in enumerate([good, broken, good])]
    found = list(render_many(load_nam(NANO), pairs))
    assert [type(result) is RenderResult for result in found] == [True, False, True]
    assert "b.wav" in str(found[1])
    np.testing.assert_array_equal(samples_of(tmp_path / "0.wav"), samples_of(tmp_path / "2.wav"))


def test_what_is_played(tmp_path: Path) -> None:
    stereo = tmp_path / "stereo.wav"
    x = PLUCK[:900]
    soundfile.write(stereo, np.stack([x, -x], axis=1), 48000, subtype="FLOAT")
    render_through(Player(load_nam(NANO)), Dry(stereo, 1, gain=0.5), tmp_path / "wet.wav")
    expected = Player(load_nam(NANO)).process(np.float32(-0.5) * x)
    np.testing.assert_array_equal(samples_of(tmp_path / "wet.wav"), expected)


def test_threads_must_be_positive() -> None:
    with pytest.raises(UserError, match="at least 1 thread, but got 0"):
        list(render_many(load_nam(NANO), [], threads=0))
    assert list(render_many(load_nam(NANO), [], threads=2)) == []
    assert cores() >= 1


def test_threads_play_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two waits until the other plays as well."""
    together = threading.Barrier(2, timeout=20)
    process = Player.process

    def met(self: Player, block: np.ndarray) -> np.ndarray:
        together.wait()
        return process(self, block)

    monkeypatch.setattr(Player, "process", met)
    pairs = [
        (Dry(write(tmp_path / f"{number}.wav", 0, 400)), tmp_path / f"{number}_wet.wav")
        for number in range(2)
    ]
    assert all(isinstance(result, RenderResult) for result in render_many(load_nam(NANO), pairs, threads=2))


def test_the_native_player_lets_other_threads_run() -> None:
    """While it computes for a fifth of a second or more, a thread of Python goes on counting."""
    player = Player(load_nam(GOLDEN / "a2_packed" / "model.nam"))
    if not player.is_native:
        pytest.skip("the native player was not built")
    x = np.zeros(48000 * 20, dtype=np.float32)
    done, ticks = threading.Event(), []

    def count() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    started = time.perf_counter()
    player.process(x)
    ended = time.perf_counter()
    done.set()
    thread.join()
    assert sum(started < tick < ended for tick in ticks) >= 5


def test_closing_early_leaves_no_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nam_like.export.render._BLOCK", 100)
    first_block = threading.Event()
    process = Player.process

    def slowly(self: Player, block: np.ndarray) -> np.ndarray:
        first_block.set()
        time.sleep(0.01)
        return process(self, block)

    short, long = write(tmp_path / "short.wav", 0, 100), write(tmp_path / "long.wav", 0, 2000)
    out = tmp_path / "out"
    pairs = [(Dry(short), out / "0.wav"), *((Dry(long), out / f"{number}.wav") for number in range(1, 9))]
    monkeypatch.setattr(Player, "process", slowly)
    with closing(render_many(load_nam(NANO), pairs, threads=2)) as results:
        assert isinstance(next(results), RenderResult)
        assert first_block.is_set()
    left = sorted(path.name for path in out.iterdir())
    assert "0.wav" in left
    assert "8.wav" not in left
    assert all(soundfile.info(out / name).frames == (100 if name == "0.wav" else 2000) for name in left)


def test_memory_is_that_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nam_like.export.render._BLOCK", 500)
    longest = []
    process = Player.process

    def watched(self: Player, block: np.ndarray) -> np.ndarray:
        longest.append(len(block))
        return process(self, block)

    monkeypatch.setattr(Player, "process", watched)
    pairs = [
        (Dry(write(tmp_path / f"{n}.wav", 0, 2300), gain=0.5), tmp_path / f"{n}_wet.wav") for n in range(2)
    ]
    assert all(isinstance(result, RenderResult) for result in render_many(load_nam(NANO), pairs, threads=2))
    assert max(longest) == 500
    assert sum(longest) == 4600


def test_it_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from nam_like.export.render_many import render_many;"
        "from nam_like.export.nam_read import load_nam; from nam_like.export.render import Dry;"
        "list(render_many(load_nam(sys.argv[1]), [(Dry(Path(sys.argv[2])), Path(sys.argv[3]))]));"
        "assert 'torch' not in sys.modules"
    )
    dry = write(tmp_path / "dry.wav", 0, 400)
    subprocess.run([sys.executable, "-c", code, NANO, dry, tmp_path / "wet.wav"], check=True)
    assert (tmp_path / "wet.wav").exists()


@pytest.fixture(autouse=True)
def _no_threads_are_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before
