"""Batches of named signals with lengths."""

from __future__ import annotations

import pytest
import torch

from nam_like.data.base import DataError
from nam_like.data.speech_batch import Example, collate


def example(name: str, samples: int, channels: int = 1, **more: object) -> Example:
    signal = torch.arange(1.0, samples + 1).expand(channels, samples)
    return Example(name, {"input_signal": signal, "target_signal": 2 * signal[:1]}, **more)


def test_shorter_examples_are_followed_by_zeros() -> None:
    batch = collate([example("a", 3, 2), example("b", 5, 2)])
    assert batch["input_signal"].shape == (2, 2, 5)
    assert batch["input_length"].tolist() == [3, 5]
    assert batch["target_signal"][0, 0].tolist() == [2, 4, 6, 0, 0]
    assert batch["target_length"].dtype == torch.int64
    assert "embedding_vector" not in batch


def test_embeddings_are_stacked() -> None:
    batch = collate([example("a", 3, embedding=torch.ones(4)), example("b", 5, embedding=torch.zeros(4))])
    assert batch["embedding_vector"].shape == (2, 4)
    assert batch["embedding_length"].tolist() == [4, 4]


def test_what_does_not_belong_together_is_named() -> None:
    plain = Example("c", {"input_signal": torch.zeros(1, 4)})
    with pytest.raises(DataError, match="c: expected a target_signal, as a has one"):
        collate([example("a", 3), plain])
    with pytest.raises(DataError, match="c: expected a target_signal, as a has one"):
        collate([plain, example("a", 3)])
    with pytest.raises(DataError, match="b: expected 1 channels of input_signal, as a has, but got 2"):
        collate([example("a", 3), example("b", 3, 2)])
    with pytest.raises(DataError, match="b: expected an embedding of None values, as a has, but got 4"):
        collate([example("a", 3), example("b", 3, embedding=torch.ones(4))])
