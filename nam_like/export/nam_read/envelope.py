"""The outer object of a `.nam` file: strict JSON, version gate, required keys, the flat list of weights.

Source: the rules of NeuralAmpModelerCore 0.5.5 (nam_file.cpp, get_dsp.cpp), observed by probing it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nam_like.errors import NamFileError
from nam_like.export.nam_read.fields import Fields, describe

__all__ = ["NEWEST_VERSION", "OLDEST_VERSION", "Envelope", "parse_envelope", "read_envelope"]

logger = logging.getLogger(__name__)

OLDEST_VERSION = (0, 5, 0)
NEWEST_VERSION = (0, 7, 0)
_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
# The only keys of `metadata` whose type the engine checks.
_LEVELS = ("loudness", "input_level_dbu", "output_level_dbu")


@dataclass(frozen=True, eq=False)
class Envelope(Mapping[str, Any]):
    """A validated `.nam` file before its network is built; its fields can also be read as keys.

    Attributes:
        version: file version, "0.5.0" to "0.7.x".
        architecture: for example "WaveNet".
        config: the architecture's own options, not yet validated.
        weights: all numbers of `weights`, in file order, float32, shape `(W,)`.
        sample_rate: Hz, or None when the file does not say.
        metadata: free-form notes, empty when the file has none.
        where: place of this envelope in its file ("" for the outermost one).
    """

    version: str
    architecture: str
    config: Mapping[str, Any]
    weights: NDArray[np.float32]
    sample_rate: float | None
    metadata: Mapping[str, Any]
    where: str = ""

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys():
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def _keys(self) -> tuple[str, ...]:
        return tuple(field.name for field in fields(self) if field.name != "where")

    def config_fields(self) -> Fields:
        """The config with its place in the file."""
        return Fields(self.config, f"{self.where}.config" if self.where else "config")


def read_envelope(path: str | Path) -> Envelope:
    """Read and validate the outer object of a `.nam` file.

    Raises:
        NamFileError: the file cannot be read, is not strict JSON (NaN, Infinity and duplicate keys
            are refused), has an unsupported version or lacks a key.
    """
    path = Path(path)
    try:
        return parse_envelope(_load_json(path))
    except NamFileError as error:
        raise NamFileError(f"{path}: {error}") from None


def parse_envelope(value: object, where: str = "") -> Envelope:
    """Validate an outer object that is already in memory (nested models are envelopes too).

    Args:
        value: the object, as `json` would return it; `weights` may be a NumPy array.
        where: its place in the file, for messages.

    Raises:
        NamFileError: as :func:`read_envelope`.
    """
    if not isinstance(value, Mapping):
        raise NamFileError(f"expected `{where or 'the file'}` to be a JSON object, but got {describe(value)}")
    outer = Fields(value, where)
    for key in ("version", "architecture", "config", "weights"):
        outer.raw(key)
    version = outer.text("version")
    _check_version(version, outer.path("version"))
    return Envelope(
        version=version,
        architecture=outer.text("architecture"),
        config=outer.nested("config").values,
        weights=_weights(outer),
        sample_rate=_sample_rate(outer),
        metadata=_metadata(outer),
        where=where,
    )


def _load_json(path: Path) -> Any:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise NamFileError(f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise NamFileError(f"is not UTF-8 text (byte {error.start})") from None
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise NamFileError(f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise NamFileError("is nested too deeply") from None
    except ValueError as error:  # Python refuses integers of thousands of digits
        raise error if isinstance(error, NamFileError) else NamFileError(f"is not JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise NamFileError(f'the key "{key}" stands twice in one object')
        result[key] = value
    return result


def _no_constant(token: str) -> NoReturn:
    raise NamFileError(f"holds the token {token}, which is not JSON: no plugin can load this file")


def _check_version(version: str, where: str) -> None:
    oldest, newest = (".".join(map(str, bound)) for bound in (OLDEST_VERSION, NEWEST_VERSION))
    wanted = f"expected `{where}` to be from {oldest} to {newest}, but got {version!r}"
    if not _VERSION.fullmatch(version) or len(version) > 32:
        raise NamFileError(f"unsupported version: {wanted}")
    number = tuple(int(part) for part in version.split("."))
    if number < OLDEST_VERSION or number[:2] > NEWEST_VERSION[:2]:
        raise NamFileError(f"unsupported version: {wanted}")
    if number > NEWEST_VERSION:
        logger.warning("version %s is newer than %s: read as far as it is understood", version, newest)


def _weights(outer: Fields) -> NDArray[np.float32]:
    value, where = outer.raw("weights"), outer.path("weights")
    if isinstance(value, np.ndarray):
        if value.ndim != 1 or value.dtype.kind not in "fiu":
            raise NamFileError(f"expected `{where}` to be a flat array of numbers, but got {value.shape}")
    else:
        for i, item in enumerate(outer.array("weights")):
            if isinstance(item, bool) or not isinstance(item, (float, int)):
                raise NamFileError(f"expected `{where}[{i}]` to be a number, but got {describe(item)}")
    try:
        with np.errstate(over="ignore"):
            weights = np.asarray(value, dtype=np.float64).astype(np.float32)
    except OverflowError:
        raise NamFileError(f"expected `{where}` to hold 32-bit floats, but a number is too large") from None
    bad = np.flatnonzero(~np.isfinite(weights))
    if bad.size:
        raise NamFileError(
            f"expected every weight to be a finite 32-bit float, but `{where}[{bad[0]}]` is"
            f" {describe(float(value[bad[0]]))} ({bad.size} such)"
        )
    return weights


def _sample_rate(outer: Fields) -> float | None:
    if "sample_rate" not in outer:
        return None
    if outer.raw("sample_rate") is None:
        raise NamFileError(
            f"expected `{outer.path('sample_rate')}` to be a number in Hz, but got null"
            " (plugins crash on it: leave the key out instead)"
        )
    rate = outer.number("sample_rate")
    if rate <= 0:
        raise NamFileError(f"expected `{outer.path('sample_rate')}` to be above 0 Hz, but got {rate:g}")
    return rate


def _metadata(outer: Fields) -> Mapping[str, Any]:
    if not outer.has_value("metadata"):
        return {}
    metadata = outer.nested("metadata")
    for key in _LEVELS:
        if metadata.has_value(key):
            metadata.number(key)
    return metadata.values
