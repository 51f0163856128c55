"""The weights in a ``.nemo`` archive: a tar, plain or gzipped, read without unpacking or executing anything.

An archive holds ``model_config.yaml`` and ``model_weights.ckpt`` (a state dict), each at its top, and may
hold other files. One with a member that an unpacking program would write somewhere else (a link, a device,
an absolute path, a path through ``..``) is refused as a whole.
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

import torch
from torch import Tensor

from nam_like.train.checkpoints import CheckpointError

__all__ = ["CONFIG", "LARGEST", "WEIGHTS", "read_nemo_config", "read_nemo_weights", "tensors_of"]

CONFIG = "model_config.yaml"
WEIGHTS = "model_weights.ckpt"
#: bytes that the members of an archive may have together; the largest public audio model has 2 GB
LARGEST = 32 << 30
_LARGEST_CONFIG = 4 << 20
_MOST_MEMBERS = 10_000
_GZIP = b"\x1f\x8b"


def read_nemo_weights(path: Path | str, largest: int = LARGEST) -> dict[str, Tensor]:
    """Read the weights of an archive onto the CPU.

    Args:
        path: the archive.
        largest: bytes that its members, and its weights, may have unpacked.

    Raises:
        CheckpointError: there is no such file, it is no such archive, it is larger than `largest`, or it
            holds anything but plain data.
    """
    file = Path(path)
    data = _member(file, WEIGHTS, largest)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as inner:
            _check_size(file, sum(item.file_size for item in inner.infolist()), largest)
    except zipfile.BadZipFile:
        pass  # the format of torch before 1.6
    try:
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(
            f"{WEIGHTS} in '{file}' holds more than plain data and is not loaded: {reason}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{WEIGHTS} in '{file}' is no checkpoint or is damaged: {error}") from error
    return tensors_of(loaded, file)


def tensors_of(loaded: Any, file: Path) -> dict[str, Tensor]:
    """The tensors of a state dict, or of the one that a checkpoint holds.

    Raises:
        CheckpointError: it has none.
    """
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    if isinstance(state, Mapping):
        found = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
        if found:
            return found
    raise CheckpointError(f"expected '{file}' to hold weights by name, but got none")


def read_nemo_config(path: Path | str) -> str:
    """Read the YAML that an archive's model was built from.

    Raises:
        CheckpointError: as :func:`read_nemo_weights`.
    """
    return _member(Path(path), CONFIG, LARGEST, _LARGEST_CONFIG).decode("utf-8", errors="replace")


def _member(file: Path, name: str, largest: int, largest_member: int | None = None) -> bytes:
    """The bytes of the member `name` of an archive that is sound as a whole."""
    if not file.is_file():
        raise CheckpointError(f"expected a .nemo archive, but there is no file '{file}'")
    try:
        with file.open("rb") as raw, _opened(raw) as archive:
            data: bytes | None = None
            total = 0
            # A stream of headers: nothing behind a forbidden member is looked at.
            for count, member in enumerate(archive):
                _check_member(file, member, count)
                total += member.size
                _check_size(file, total, largest)
                if _top_name(member) != name:
                    continue
                if data is not None:
                    raise CheckpointError(f"expected one {name} in '{file}', but got two")
                _check_size(file, member.size, largest_member or largest)
                data = _content(archive, member)
    except CheckpointError:
        raise
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as error:
        raise CheckpointError(f"'{file}' is no .nemo archive or is damaged: {error}") from error
    if data is None:
        raise CheckpointError(f"expected a {name} in '{file}', but got none")
    return data


def _opened(raw: IO[bytes]) -> tarfile.TarFile:
    zipped = raw.read(2) == _GZIP
    raw.seek(0)
    return tarfile.open(fileobj=raw, mode="r:gz" if zipped else "r:")


def _top_name(member: tarfile.TarInfo) -> str:
    """The name of a file at the top of the archive; empty for others."""
    parts = PurePosixPath(member.name).parts
    return parts[0] if len(parts) == 1 and member.isfile() else ""


def _check_member(file: Path, member: tarfile.TarInfo, count: int) -> None:
    path = PurePosixPath(member.name.replace("\\", "/"))
    drive = len(member.name) > 1 and member.name[1] == ":"
    if path.is_absolute() or drive or ".." in path.parts:
        raise CheckpointError(
            f"expected paths inside the archive '{file}', but got the member '{member.name}'; it is not read"
        )
    if not (member.isfile() or member.isdir()):
        raise CheckpointError(
            f"expected files and folders in '{file}', but got the link or device '{member.name}'; "
            "it is not read"
        )
    if count >= _MOST_MEMBERS:
        raise CheckpointError(f"expected at most {_MOST_MEMBERS} members in '{file}', but got more")


def _check_size(file: Path, size: int, largest: int) -> None:
    if size > largest:
        raise CheckpointError(f"expected at most {largest} bytes in '{file}', but got {size}")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    data = b"" if stream is None else stream.read(member.size)
    if len(data) != member.size:
        raise CheckpointError(f"expected {member.size} bytes of {member.name}, but got {len(data)}")
    return data
