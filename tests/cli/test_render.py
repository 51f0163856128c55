"""`nam_like render`: files and folders, what is told, exit codes, and what is never overwritten."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nam_like.export.player import load
from tests.cli.conftest import Done

Cli = Callable[..., Done]

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
MODEL = GOLDEN / "lstm_1x8" / "model.nam"
X = np.load(GOLDEN / "inputs" / "pluck.npy")[:1500]


def write(path: Path, x: np.ndarray = X, rate: int = 48000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, x, rate, subtype="PCM_24" if path.suffix == ".flac" else "FLOAT")
    return path


def samples_of(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def assert_played(wet: Path, dry: Path, **options: float) -> None:
    np.testing.assert_array_equal(samples_of(wet), load(MODEL, **options).process(samples_of(dry)))


@pytest.mark.parametrize("threads", [[], ["--threads", "1"], ["--threads", "3"]])
def test_a_folder_keeps_its_structure(cli: Cli, tmp_path: Path, threads: list[str]) -> None:
    write(tmp_path / "in" / "a.wav")
    write(tmp_path / "in" / "deeper" / "b.flac", X[:900])
    (tmp_path / "in" / "notes.txt").write_text("no audio")
    write(tmp_path / "c.wav", X[200:])
    done = cli("render", MODEL, tmp_path / "in", tmp_path / "c.wav", "-o", tmp_path / "out", *threads)
    assert done.code == 0, done.err
    made = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert made == ["a.wav", "c.wav", "deeper/b.wav"]
    assert_played(tmp_path / "out" / "a.wav", tmp_path / "in" / "a.wav")
    assert_played(tmp_path / "out" / "c.wav", tmp_path / "c.wav")
    assert_played(tmp_path / "out" / "deeper" / "b.wav", tmp_path / "in" / "deeper" / "b.flac")
    lines = done.out.splitlines()
    assert [Path(line.split(":")[0]).name for line in lines[:3]] == ["a.wav", "b.wav", "c.wav"]
    assert "a.wav: 0.03 s at 48000 Hz, peak 0." in lines[0]
    assert lines[3].startswith("played by the ")
    assert lines[4].startswith("3 files, 0.1 s of audio in ")
    assert lines[4].endswith(" times faster than realtime")


def test_existing_outputs_are_kept_until_forced(cli: Cli, tmp_path: Path) -> None:
    first, second = write(tmp_path / "in" / "a.wav"), write(tmp_path / "in" / "b.wav")
    kept = write(tmp_path / "in" / "out" / "b.wav", np.zeros(10, np.float32)).read_bytes()
    refused = cli("render", MODEL, tmp_path / "in", "-o", tmp_path / "in" / "out")
    assert refused.code == 2
    assert "outputs that do not exist yet (--force replaces them)" in refused.err
    assert [path.name for path in (tmp_path / "in" / "out").iterdir()] == ["b.wav"]  # before any is rendered
    assert (tmp_path / "in" / "out" / "b.wav").read_bytes() == kept
    forced = cli("render", MODEL, tmp_path / "in", "-o", tmp_path / "in" / "out", "--force", "--quiet")
    assert (forced.code, forced.out) == (0, "")
    for dry in (first, second):
        assert_played(tmp_path / "in" / "out" / dry.name, dry)
    # The outputs lie in the folder of the inputs, and are none.
    assert sorted(path.name for path in (tmp_path / "in" / "out").iterdir()) == ["a.wav", "b.wav"]


def test_a_single_file_can_be_named(cli: Cli, tmp_path: Path) -> None:
    dry = write(tmp_path / "x.flac")
    assert cli("render", MODEL, dry, "-o", tmp_path / "y.wav", "--fast-tanh").code == 0
    assert_played(tmp_path / "y.wav", dry, fast_tanh=True)


def test_two_names_are_the_dry_and_the_wet_file(cli: Cli, tmp_path: Path) -> None:
    dry, wet = write(tmp_path / "x.wav"), write(tmp_path / "y.wav", X[:10])
    done = cli("render", MODEL, dry, wet)
    assert done.code == 0
    assert_played(wet, dry)
    assert len(done.out.splitlines()) == 2
    assert cli("render", MODEL, dry, wet, "--quiet").out == ""


def test_channels_and_rates_of_folders(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    write(tmp_path / "in" / "a.wav", np.stack([X, -X], axis=1))
    write(tmp_path / "in" / "b.wav", np.stack([X, X], axis=1), 44100)
    out = tmp_path / "out"
    refused = cli("render", MODEL, tmp_path / "in", "-o", out)
    assert refused.code == 2
    assert "a.wav: expected 1 channel, but got 2" in refused.err
    assert "2 files could not be rendered" in refused.err
    assert not out.exists()
    half = cli("render", MODEL, tmp_path / "in", "-o", out, "--channel", 1)
    assert half.code == 1
    assert "b.wav: expected a sample rate of 48000 Hz, that of the model, but got 44100 Hz" in half.err
    np.testing.assert_array_equal(samples_of(out / "a.wav"), load(MODEL).process(-X))
    done = cli("render", MODEL, tmp_path / "in", "-o", out, "--channel", 1, "--resample", "--force")
    assert done.code == 0
    info = soundfile.info(out / "b.wav")
    assert (info.samplerate, info.frames) == (48000, round(len(X) * 48000 / 44100))
    np.testing.assert_array_equal(samples_of(out / "a.wav"), load(MODEL).process(-X))


def test_a_broken_file_does_not_stop_the_others(cli: Cli, tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.wav")
    (tmp_path / "in" / "b.wav").write_bytes(b"no audio at all")
    write(tmp_path / "in" / "c.wav", X[:700])
    done = cli("render", MODEL, tmp_path / "in", "-o", tmp_path / "out")
    assert done.code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.wav", "c.wav"]
    assert "b.wav" in done.err.split("1 file could not be rendered:\n")[1]
    assert done.out.splitlines()[-1].startswith("2 files, ")
    assert_played(tmp_path / "out" / "c.wav", tmp_path / "in" / "c.wav")


def test_where_nothing_can_be_written_the_input_is_wrong(cli: Cli, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"no audio at all")
    both = cli("render", MODEL, tmp_path / "a.wav", tmp_path / "b.wav", "-o", tmp_path / "out")
    assert (both.code, (tmp_path / "out").exists()) == (2, False)
    one = cli("render", MODEL, tmp_path / "a.wav", "-o", tmp_path / "out")
    assert (one.code, one.err.count("a.wav")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone/", "-o", "out"], "gone: no such file or folder"),
        (["empty", "-o", "out"], "empty: expected a folder with audio files"),
        (["texts", "-o", "out"], "texts: expected a folder with audio files"),
        (["x.wav", "-o", "x.wav", "--force"], "expected the output to be another file than an input"),
        (["x.wav", "other/x.wav", "-o", "y.wav"], "expected `-o` to be a folder"),
        (["x.wav", "other/x.wav", "-o", "out"], "would both become out/x.wav"),
        (["x.wav", "-o", "out", "--threads", "0"], "expected at least 1 thread, but got 0"),
        (["x.wav", "-o", "out", "--slim", "0.5"], "slimmable"),
        (["x.wav"], "expected the dry audio and the .wav to write, or `-o`"),
        (["x.wav", "y.wav", "z.wav"], "expected the dry audio and the .wav to write, or `-o`"),
        (["other", "out"], "expected the dry audio and the .wav to write, or `-o`"),
        (["data.json", "out.wav"], "expected the dry audio and the .wav to write, or `-o`"),
        (["x.wav", "y.wav", "--force"], "expected `-o` with `--force`"),
        (["x.wav", "y.wav", "--threads", "2"], "expected `-o` with `--threads`"),
    ],
)
def test_mistakes_write_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "texts"):
        (tmp_path / folder).mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no audio")
    write(tmp_path / "x.wav")
    write(tmp_path / "other" / "x.wav")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = cli("render", MODEL, *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_model_that_is_refused(cli: Cli, tmp_path: Path) -> None:
    dry, model = write(tmp_path / "x.wav"), tmp_path / "model.nam"
    model.write_text("{", encoding="utf-8")
    done = cli("render", model, dry, "-o", tmp_path / "out")
    assert done.code == 2
    assert "model.nam" in done.err
    assert not (tmp_path / "out").exists()


def test_folders_and_data_jsons_need_no_torch(tmp_path: Path) -> None:
    write(tmp_path / "in" / "x.wav")
    data = tmp_path / "data.json"
    data.write_text('{"train": {}, "validation": {}, "common": {"x_path": "in/x.wav", "y_path": "y.wav"}}')
    code = (
        "import sys; from nam_like.cli.main import main;"
        "assert main(['render', sys.argv[1], sys.argv[2], '-o', sys.argv[3]]) == 0;"
        "assert not {'torch', 'lightning_fabric', 'pytorch_lightning'} & sys.modules.keys()"
    )
    for given, out in ((tmp_path / "in", "one"), (data, "two")):
        command = [sys.executable, "-c", code, MODEL, given, tmp_path / out]
        subprocess.run(command, check=True, env={**os.environ, "HOME": str(tmp_path)})
        assert_played(tmp_path / out / "x.wav", tmp_path / "in" / "x.wav")
