"""Reading manifests: fields, paths, and what is said about wrong lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nam_like.data.base import DataError
from nam_like.data.manifest.lines import as_list, located, read_manifests

KEYS = {"input": ["noisy"], "target": ["clean"]}
GOOD = {"noisy": "n.wav", "clean": "c.wav", "duration": 1.5}


def test_a_line_becomes_an_entry(manifest: Callable[..., Path]) -> None:
    path = manifest([{**GOOD, "offset": 0.25, "text": "hello", "snr": 5, "clean": ["a.wav", "b,c.wav"]}])
    (entry,) = read_manifests([path], KEYS)
    assert entry.files == {"input": ("n.wav",), "target": ("a.wav", "b,c.wav")}
    assert (entry.offset, entry.duration, entry.name) == (0.25, 1.5, "n.wav")
    assert entry.metadata == {"text": "hello", "snr": 5}
    assert entry.place == f"{path}:1"


def test_blank_lines_are_skipped_but_counted(manifest: Callable[..., Path]) -> None:
    entries = read_manifests([manifest(["", GOOD, "   ", {**GOOD, "offset": None}])], KEYS)
    assert [entry.number for entry in entries] == [2, 4]
    assert entries[1].offset == 0.0


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(b'\xef\xbb\xbf{"noisy": "\xc3\xa9.wav", "duration": 1}\r\n')
    assert read_manifests([tmp_path / "m.json"], {"input": ["noisy"]})[0].name == "é.wav"


def test_files_of_several_keys_follow_each_other(manifest: Callable[..., Path]) -> None:
    path = manifest([{"b": ["3.wav", "1.wav"], "a": "2.wav", "duration": 1}])
    assert read_manifests([path], {"input": ["a", "b"]})[0].files["input"] == ("2.wav", "3.wav", "1.wav")


def test_manifests_follow_each_other(manifest: Callable[..., Path]) -> None:
    paths = [manifest([{**GOOD, "noisy": name}] * 2, f"{name}.json") for name in ("x", "y")]
    assert [entry.name for entry in read_manifests(paths[::-1], KEYS)] == ["y", "y", "x", "x"]


@pytest.mark.parametrize(
    ("value", "names"),
    [("a", ["a"]), ("a, b,", ["a", "b"]), (["a,b", " c "], ["a,b", "c"]), ("", []), ([], [])],
)
def test_names_in_one_string_or_a_list(value: Any, names: list[str]) -> None:
    assert as_list(value) == names


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"noisy": "n.wav",',
            r"expected a JSON object, but got \{\"noisy\": \"n.wav\", \(.* at column 19\)",
        ),
        ("[1, 2]", "expected a JSON object, but got a list of 2"),
        ('"n.wav"', 'expected a JSON object, but got the string "n.wav"'),
        (
            {"noisy": "n.wav", "duration": 1},
            r"the key 'clean' \(`target_key`\), but got only noisy, duration",
        ),
        ({}, r"the key 'noisy' \(`input_key`\), but got an empty object"),
        ({**GOOD, "noisy": 3}, "'noisy' to be a path or a list of paths, but got 3"),
        ({**GOOD, "noisy": []}, "'noisy' to be a path or a list of paths, but got an empty list"),
        ({**GOOD, "noisy": ["a", None]}, "'noisy' to be a path or a list of paths, but got a list of 2"),
        ({**GOOD, "clean": ""}, "'clean' to be a path or a list of paths, but got the string \"\""),
        ({"noisy": "n", "clean": "c"}, r"the key 'duration' \(s\), but got only noisy, clean"),
        ({**GOOD, "duration": "1.5"}, "'duration' to be a number of seconds, but got the string \"1.5\""),
        ({**GOOD, "duration": True}, "'duration' to be a number of seconds, but got true"),
        ({**GOOD, "duration": None}, "'duration' to be a number of seconds, but got null"),
        ({**GOOD, "duration": 0}, "'duration' to be more than 0 s, but got 0"),
        ({**GOOD, "duration": float("nan")}, "'duration' to be more than 0 s, but got nan"),
        ({**GOOD, "duration": 10**400}, "'duration' to be more than 0 s, but got 1000"),
        ({**GOOD, "offset": -0.5}, "'offset' to be 0 s or more, but got -0.5"),
        ({**GOOD, "offset": float("inf")}, "'offset' to be 0 s or more, but got inf"),
    ],
)
def test_a_wrong_line_is_placed(line: Any, message: str, manifest: Callable[..., Path]) -> None:
    path = manifest([GOOD] * 16 + [line])
    with pytest.raises(DataError, match=rf"^{path}:17: .*{message}"):
        read_manifests([path], KEYS)


def test_all_wrong_lines_are_reported_at_once(manifest: Callable[..., Path]) -> None:
    one = manifest([GOOD, "{", GOOD, {"noisy": 1}], "one.json")
    other = manifest(["null"] * 30, "other.json")
    with pytest.raises(DataError) as error:
        read_manifests([one, other], KEYS)
    lines = str(error.value).splitlines()
    assert lines[0] == "32 lines of the manifests cannot be used:"
    assert lines[1].startswith(f"  {one}:2: ")
    assert lines[2].startswith(f"  {one}:4: ")
    assert lines[3] == f"  {other}:1: expected a JSON object, but got null"
    assert lines[-1] == "  … and 12 more"
    assert len(lines) == 22


def test_a_manifest_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_bytes(b"{}\n\xff\n")
    with pytest.raises(DataError, match=r"m.json:2: expected text in UTF-8, but got byte 0xff"):
        read_manifests([tmp_path / "m.json"], {})
    with pytest.raises(DataError, match="the manifest cannot be read: Is a directory"):
        read_manifests([tmp_path], {})


def test_embeddings_are_npy_files(manifest: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"manifest.json:1: expected 'e' to be a .npy file, but got v.pt"):
        read_manifests(
            [manifest([{"a": "a.wav", "e": ["v.npy", "v.pt"], "duration": 1}])], {"embedding": ["e"]}
        )


def test_paths_are_looked_up_beside_the_manifest_first(
    tmp_path: Path, manifest: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    for folder in (tmp_path, here, home):
        folder.mkdir(exist_ok=True)
        for name in ("both.wav",) if folder == tmp_path else ("both.wav", f"{folder.name}.wav"):
            (folder / name).touch()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    names = ["both.wav", "here.wav", "~/home.wav", str(home / "both.wav")]
    (entry,) = located(read_manifests([manifest([{"a": names, "duration": 1}])], {"input": ["a"]}))
    assert [Path(path).resolve() for path in entry.files["input"]] == [
        tmp_path / "both.wav",
        here / "here.wav",
        home / "home.wav",
        home / "both.wav",
    ]
    assert entry.name == "both.wav"


def test_missing_files_are_counted(tmp_path: Path, manifest: Callable[..., Path]) -> None:
    (tmp_path / "n.wav").touch()
    path = manifest([{**GOOD, "clean": f"c{number}.wav"} for number in range(8)])
    with pytest.raises(DataError) as error:
        located(read_manifests([path], KEYS))
    lines = str(error.value).splitlines()
    assert lines[0] == "8 of the 16 files of the manifests are missing:"
    assert lines[1] == f"  {path}:1: {tmp_path / 'c0.wav'} (target)"
    assert len(lines) == 1 + 5 + 1
    assert lines[-1] == "  … and 3 more"
    path = manifest([{**GOOD, "clean": "x" * 300}, {**GOOD, "clean": "n.wav"}])
    with pytest.raises(DataError, match=rf"^expected a file, but there is none: {path}:1: .*x \(target\)"):
        located(read_manifests([path], KEYS))
    with pytest.raises(DataError, match="there is none"):  # a folder is no file
        located(read_manifests([manifest([{**GOOD, "clean": "."}])], {"target": ["clean"]}))
