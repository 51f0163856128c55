"""Examples of speech families, and how they become a batch: named signals with their lengths.

A batch holds for each signal ``<name>_signal``, ``(B, C, T)``, zero behind the end of each example, and
``<name>_length``, ``(B,)``: the samples that are valid. A vector that belongs to an example, such
as the embedding of a speaker, is ``embedding_vector``, ``(B, D)``, with ``embedding_length``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nam_like.data.base import DataError

__all__ = ["Example", "collate"]

EMBEDDING = "embedding"
"""The vector of an example, by the name it has in a batch."""


@dataclass(frozen=True)
class Example:
    """One example: what is heard, what is wanted, and what else belongs to it.

    Attributes:
        name: what messages and reports call it.
        signals: ``"input_signal"``, ``"target_signal"`` and ``"reference_signal"`` as far as there are any,
            each ``(C, T)``, float32.
        embedding: a vector ``(D,)``, or None.
        tags: words about where it comes from.
    """

    name: str
    signals: Mapping[str, Tensor]
    embedding: Tensor | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def collate(examples: Sequence[Example]) -> dict[str, Tensor]:
    """Make a batch of examples; shorter ones are followed by zeros.

    Raises:
        DataError: the examples differ in what they have, or in their channels.
    """
    first = examples[0]
    for example in examples[1:]:
        _check_alike(first, example)
    batch: dict[str, Tensor] = {}
    for key in first.signals:
        signals = [example.signals[key] for example in examples]
        lengths = torch.tensor([signal.shape[-1] for signal in signals])
        padded = signals[0].new_zeros(len(signals), signals[0].shape[0], int(lengths.max()))
        for row, signal in zip(padded, signals, strict=True):
            # Readers give a transposed (T, 1), which torch copies fifty times as slowly as what it is: a row.
            row[:, : signal.shape[-1]] = signal.contiguous().view(-1).view(signal.shape)
        batch[key] = padded
        batch[f"{key.removesuffix('_signal')}_length"] = lengths
    if first.embedding is not None:
        vectors = [example.embedding for example in examples if example.embedding is not None]
        batch[f"{EMBEDDING}_vector"] = torch.stack(vectors)
        batch[f"{EMBEDDING}_length"] = torch.tensor([len(vector) for vector in vectors])
    return batch


def _check_alike(first: Example, other: Example) -> None:
    """Refuse to put two examples into one batch that do not belong there."""
    for one, two in ((first, other), (other, first)):
        missing = [key for key in one.signals if key not in two.signals]
        if missing:
            raise DataError(f"{two.name}: expected a {missing[0]}, as {one.name} has one, but got none")
    for key, signal in first.signals.items():
        channels = other.signals[key].shape[0]
        if channels != signal.shape[0]:
            raise DataError(
                f"{other.name}: expected {signal.shape[0]} channels of {key}, as {first.name} has, "
                f"but got {channels}"
            )
    sizes = [None if example.embedding is None else len(example.embedding) for example in (first, other)]
    if sizes[0] != sizes[1]:
        raise DataError(
            f"{other.name}: expected an embedding of {sizes[0]} values, as {first.name} has, "
            f"but got {sizes[1]}"
        )
