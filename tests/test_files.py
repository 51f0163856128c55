import hashlib
import json

import pytest

from nam_like import files


def test_atomic_path_replaces_whole_file(tmp_path):
    target = tmp_path / "a" / "b.txt"
    files.write_text_atomic(target, "old")
    with files.atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failure_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, error):
    target = tmp_path / "b.txt"
    target.write_text("old")

    def write_half():
        with files.atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), files.atomic_path(tmp_path / "b.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_symbolic_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    files.write_text_atomic(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_json(tmp_path):
    path = tmp_path / "a.json"
    files.write_json_atomic(path, {"é": [1, 2.5]}, indent=2)
    assert json.loads(path.read_text(encoding="utf-8")) == {"é": [1, 2.5]}
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json_atomic(path, {"x": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"é": [1, 2.5]}


def test_sha256_of_more_than_one_block(tmp_path):
    data = bytes(range(256)) * 9000
    files.write_bytes_atomic(tmp_path / "x", data)
    assert files.sha256_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_sampled_hash_of_a_small_file_is_of_its_size_and_all_its_bytes(tmp_path):
    path = tmp_path / "a"
    for content in (b"", b"abc", bytes(range(256)) * 9000):
        path.write_bytes(content)
        expected = hashlib.sha256(len(content).to_bytes(8, "little") + content).hexdigest()
        assert files.sha256_sampled(path) == expected


def test_sampled_hash_of_a_large_file_is_of_64_blocks(tmp_path):
    path, mib, size = tmp_path / "a", 1 << 20, 100_000_000
    with path.open("wb") as file:
        file.truncate(size)

    def change(at):
        with path.open("rb+") as file:
            file.seek(at)
            file.write(b"\x01")
        return files.sha256_sampled(path)

    untouched = files.sha256_sampled(path)
    assert change(mib + 1000) == untouched  # between the first block and the second
    found = {untouched, change(0), change((size - mib) * 31 // 63), change(size - 1)}
    assert len(found) == 4
    starts = [(size - mib) * number // 63 for number in range(64)]
    content = path.read_bytes()
    blocks = b"".join(content[start : start + mib] for start in starts)
    assert files.sha256_sampled(path) == hashlib.sha256(size.to_bytes(8, "little") + blocks).hexdigest()
