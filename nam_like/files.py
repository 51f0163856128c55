"""Files that are written whole or not at all.

Every file is written under a temporary name in its own folder and renamed over the target when complete:
a reader sees the old file or the new one, never half of one, even if the process is killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = [
    "SAMPLED_ABOVE",
    "SAMPLED_BLOCKS",
    "atomic_path",
    "sha256_file",
    "sha256_sampled",
    "write_bytes_atomic",
    "write_json_atomic",
    "write_text_atomic",
]

SAMPLED_BLOCKS = 64
"""How many blocks of 1 MiB :func:`sha256_sampled` reads."""
SAMPLED_ABOVE = 256 << 20
"""Bytes from which a file is so large that :func:`sha256_sampled` should do."""
_MIB = 1 << 20


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; rename it to ``path`` when the block succeeds.

    The temporary keeps the suffix of ``path``, because many writers choose a format by it. Missing parent
    folders are created. If ``path`` is a symbolic link, the file it points to is replaced, not the link.

    Args:
        path: the file to write.

    Yields:
        The temporary path, which the block must create.

    Raises:
        FileNotFoundError: the block ended without creating the temporary file.
    """
    target = Path(path)
    if target.is_symlink():
        target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(6)}.tmp{target.suffix}")
    try:
        yield temporary
        # The bytes must be on the disk before the name is: a crash between the two would leave an empty file.
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes_atomic(path: Path | str, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text_atomic(path: Path | str, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8 with its newlines unchanged, whole or not at all."""
    write_bytes_atomic(path, text.encode("utf-8"))


def write_json_atomic(path: Path | str, obj: Any, indent: int | None = None) -> None:
    """Write ``obj`` to ``path`` as JSON with a final newline, whole or not at all.

    Args:
        path: the file to write.
        obj: anything :mod:`json` can express.
        indent: spaces per level; None writes one line.

    Raises:
        ValueError: ``obj`` holds NaN or infinity, which JSON cannot express; nothing is written.
        TypeError: ``obj`` holds a type that JSON cannot express; nothing is written.
    """
    write_text_atomic(path, json.dumps(obj, indent=indent, allow_nan=False, ensure_ascii=False) + "\n")


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's bytes as 64 lower-case hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(_MIB):
            digest.update(block)
    return digest.hexdigest()


def sha256_sampled(path: Path | str) -> str:
    """Return the SHA-256 of a large file's size and of 64 blocks of 1 MiB of it, as 64 hexadecimal digits.

    The blocks are spread evenly from the first byte to the last. Two recordings differ in it as surely as in
    the hash of all their bytes; a file that was altered in a few places may not. The size comes first, as 8
    bytes, least significant first; files of up to 64 MiB are read whole after it.
    """
    path = Path(path)
    size = path.stat().st_size
    digest = hashlib.sha256(size.to_bytes(8, "little"))
    last = max(size - _MIB, 0)
    starts = dict.fromkeys(last * number // (SAMPLED_BLOCKS - 1) for number in range(SAMPLED_BLOCKS))
    if size <= SAMPLED_BLOCKS * _MIB:
        starts = dict.fromkeys(range(0, size, _MIB))
    with path.open("rb") as file:
        for start in starts:
            file.seek(start)
            digest.update(file.read(_MIB))
    return digest.hexdigest()
