"""Signals that stay in their files: slices and gains cost nothing, samples are decoded when they are read.

A :class:`Signal` is what a recording of ten hours is to a program that must not hold it: the file is mapped
into memory, and only what is asked for is turned into float32. Functions that take "samples" take it as well
as an array, and go through it block by block: see :func:`blocks`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from nam_like.audio.errors import AudioError
from nam_like.audio.pcm import Layout, MappedFile

__all__ = ["BLOCK", "NotResidentError", "Samples", "Signal", "blocks", "read"]

Float32Array: TypeAlias = npt.NDArray[np.float32]
FloatArray: TypeAlias = npt.NDArray[np.floating[Any]]

BLOCK = 1 << 18
"""Samples per block: 1 MiB of float32, which stays in the cache of a core while it is worked on."""


class NotResidentError(AudioError, AttributeError, TypeError):
    """All samples are wanted at once, but they stay in their file."""


class Signal:
    """A stretch of one channel of a file, in float32, with gains that are applied when it is read.

    Slices (of step 1) and :meth:`scaled` give further signals and read nothing. What would need all samples
    at once (arithmetic, NumPy's and torch's functions) raises :class:`NotResidentError`.

    Args:
        layout: where the samples stand in their file.
    """

    dtype = np.dtype(np.float32)
    ndim = 1

    def __init__(self, layout: Layout) -> None:
        self._file = MappedFile(layout)
        self._start = 0
        self._frames = layout.frames
        self._gains: tuple[float, ...] = ()

    @property
    def layout(self) -> Layout:
        """Where the samples of the whole file stand."""
        return self._file.layout

    @property
    def offset(self) -> int:
        """Which sample of the file is sample 0."""
        return self._start

    @property
    def gains(self) -> tuple[float, ...]:
        """The factors that are applied when the samples are read, one after the other."""
        return self._gains

    def peaks(self, find: Callable[[Signal], Float32Array]) -> Float32Array:
        """The peaks of all blocks of the file, found by `find` once; see :mod:`nam_like.audio.peaks`."""
        if self._file.peaks is None:
            self._file.peaks = find(Signal._of(self._file))
        return self._file.peaks

    @property
    def shape(self) -> tuple[int]:
        """`(L,)`."""
        return (self._frames,)

    @property
    def size(self) -> int:
        """Number of samples."""
        return self._frames

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, part: slice) -> Signal:
        """Return a part of the signal; nothing is read."""
        if not isinstance(part, slice) or part.step not in (None, 1):
            raise NotResidentError(
                f"expected a slice of step 1 of {self!r}, but got {part!r}; `read` gives samples"
            )
        start, stop, _ = part.indices(self._frames)
        return self._derived(start, max(stop - start, 0), self._gains)

    def scaled(self, gain: float) -> Signal:
        """Return the signal times `gain` (a factor, rounded to float32); nothing is read."""
        return self._derived(0, self._frames, (*self._gains, gain))

    def read(self, start: int = 0, stop: int | None = None) -> Float32Array:
        """Return the samples from `start` up to, not including, `stop`: `(stop − start,)`.

        Raises:
            IndexError: they are not all in the signal.
            AudioError: the file is gone or has become shorter.
        """
        stop = self._frames if stop is None else stop
        if not 0 <= start <= stop <= self._frames:
            raise IndexError(f"expected samples within 0…{self._frames}, but got {start}…{stop}")
        out = np.empty(stop - start, dtype=np.float32)
        self.read_into(start, out)
        return out

    def read_into(self, start: int, out: Float32Array) -> None:
        """Read the samples from `start` on into `out` `(n,)`; the caller sees to it that they are there."""
        if out.size == 0:
            return
        self._file.read_into(self._start + start, out)
        for gain in self._gains:
            out *= np.float32(gain)

    def blocks(self, size: int = BLOCK) -> Generator[tuple[int, Float32Array], None, None]:
        """Yield consecutive blocks, and where each begins; valid until the next one is asked for."""
        buffer = np.empty(min(size, self._frames), dtype=np.float32)
        try:
            for start in range(0, self._frames, size):
                block = buffer[: min(size, self._frames - start)]
                self.read_into(start, block)
                yield start, block
        finally:
            self._file.release()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.layout.path)!r}, {self._frames} samples)"

    def _derived(self, start: int, frames: int, gains: tuple[float, ...]) -> Signal:
        other = Signal._of(self._file)
        other._start, other._frames, other._gains = self._start + start, frames, gains
        return other

    @classmethod
    def _of(cls, file: MappedFile) -> Signal:
        """All samples of a file that is open already."""
        other = cls.__new__(cls)
        other._file, other._start, other._frames, other._gains = file, 0, file.layout.frames, ()
        return other

    def _refuse(self, what: str) -> NoReturn:
        raise NotResidentError(
            f"{what} needs all {self._frames} samples of {self.layout.path} in memory, but they stay in "
            'their file; go through them block by block (nam_like.data.blocks), or set "memory": "resident" '
            "in data.json"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or name in ("_file", "_frames"):  # asked for by copy and pickle
            raise AttributeError(name)
        self._refuse(f"`{name}`")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("a NumPy array of it")

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for argument in args:
            if isinstance(argument, Signal):
                argument._refuse(f"`torch.{getattr(function, '__name__', function)}`")
        return NotImplemented

    def __iter__(self) -> Iterator[float]:
        self._refuse("going through single samples")


def _refused(name: str) -> Callable[..., NoReturn]:
    def method(self: Signal, *args: Any) -> NoReturn:
        self._refuse(f"`{name}`")

    return method


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    for _method in (f"__{_name}__", f"__r{_name}__"):
        setattr(Signal, _method, _refused(_name))
for _name in ("neg", "abs"):
    setattr(Signal, f"__{_name}__", _refused(_name))


Samples: TypeAlias = FloatArray | Signal
"""An array `(L,)` or a signal that stays in its file."""


def read(samples: Samples, start: int, stop: int) -> FloatArray:
    """Return the samples from `start` to `stop` as an array; what is beyond the signal is left out."""
    if isinstance(samples, Signal):
        start, stop, _ = slice(max(start, 0), max(stop, 0)).indices(len(samples))
        return samples.read(start, max(stop, start))
    return samples[max(start, 0) : max(stop, 0)]


def blocks(samples: Samples, size: int = BLOCK) -> Iterator[tuple[int, FloatArray]]:
    """Yield consecutive blocks of an array or a signal, and where each begins.

    A block may only be used until the next one is asked for.
    """
    if isinstance(samples, Signal):
        with contextlib.closing(samples.blocks(size)) as own:
            yield from own
    else:
        for start in range(0, samples.shape[0], size):
            yield start, samples[start : start + size]
