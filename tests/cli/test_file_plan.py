"""Which file becomes which, and which pairs are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from nam_like.cli.file_plan import plan
from nam_like.errors import UserError


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_files_and_folders(tmp_path: Path) -> None:
    for name in ("b.wav", "a.flac", "deeper/c.MP3", "deeper/notes.txt", ".hidden.wav"):
        touch(tmp_path / "in" / name)
    single = touch(tmp_path / "z.wav")
    pairs = plan([str(single), str(tmp_path / "in"), str(single)], str(tmp_path / "out"))
    names = [(path.name, str(output.relative_to(tmp_path / "out"))) for path, output in pairs]
    assert names == [
        ("z.wav", "z.wav"),
        ("a.flac", "a.wav"),
        ("b.wav", "b.wav"),
        ("c.MP3", "deeper/c.wav"),
    ]


def test_one_file_to_another(tmp_path: Path) -> None:
    noisy = touch(tmp_path / "x.flac")
    assert plan([str(noisy)], str(tmp_path / "y.WAV")) == [(noisy, tmp_path / "y.WAV")]


def test_what_is_refused(tmp_path: Path) -> None:
    a, b = touch(tmp_path / "1" / "a.wav"), touch(tmp_path / "2" / "a.flac")
    with pytest.raises(
        UserError, match=r"an output of its own, but .*1/a.wav and .*2/a.flac would both become"
    ):
        plan([str(a), str(b)], str(tmp_path / "out"))
    with pytest.raises(UserError, match="expected `-o` to be a folder, because there is more than one file"):
        plan([str(a), str(b)], str(tmp_path / "y.wav"))
    with pytest.raises(UserError, match="expected `-o` to be a folder, because there is more than one file"):
        plan([str(tmp_path / "1")], str(tmp_path / "y.wav"))
    with pytest.raises(UserError, match=r"or to end in .wav, but got the file"):
        plan([str(a)], str(b))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="expected a folder with audio files"):
        plan([str(tmp_path / "empty")], str(tmp_path / "out"))
    link = tmp_path / "out" / "a.wav"
    link.parent.mkdir()
    link.symlink_to(a)
    with pytest.raises(UserError, match="expected the output to be another file than an input"):
        plan([str(a)], str(tmp_path / "out"), force=True)


def test_existing_outputs_need_force(tmp_path: Path) -> None:
    names = [str(touch(tmp_path / "in" / f"{number}.wav")) for number in range(7)]
    for number in range(7):
        touch(tmp_path / "out" / f"{number}.wav")
    with pytest.raises(UserError, match=r"\(--force replaces them\), but got .*0.wav, .* and 2 more$"):
        plan(names, str(tmp_path / "out"))
    assert len(plan(names, str(tmp_path / "out"), force=True)) == 7
