"""Plain ``torch.utils.data.Dataset`` objects of plugins, made to meet our own contract."""

from __future__ import annotations

from typing import Any

from nam_like.data.base import AbstractDataset, DataError

__all__ = ["PlainDataset", "as_dataset", "normalise_item"]


def normalise_item(item: Any) -> Any:
    """Bring an item into the order ``(x, *conditions, y)``.

    ``(x, (y, p1, p2))`` becomes ``(x, p1, p2, y)``; tuples in the right order and dicts of named tensors
    stay as they are.

    Raises:
        DataError: it is neither a dict nor a tuple of at least two.
    """
    if isinstance(item, dict):
        return item
    if not isinstance(item, tuple | list) or len(item) < 2:
        got = (
            f"{type(item).__name__} of {len(item)}" if isinstance(item, tuple | list) else type(item).__name__
        )
        raise DataError(f"expected an item to be a tuple (x, …, y) or (x, (y, …)), but got a {got}")
    if len(item) == 2 and isinstance(item[1], tuple | list):
        x, (y, *conditions) = item
        return (x, *conditions, y)
    return tuple(item)


class PlainDataset(AbstractDataset):
    """Wraps any object with ``__len__`` and ``__getitem__``; what it has of the contract is used.

    Args:
        dataset: the plugin's object.

    Raises:
        DataError: it has no length or no items.
    """

    def __init__(self, dataset: Any) -> None:
        missing = [name for name in ("__len__", "__getitem__") if not hasattr(type(dataset), name)]
        if missing:
            raise DataError(
                f"expected {type(dataset).__name__} to be a dataset, but it has no {' and no '.join(missing)}"
            )
        self.dataset = dataset
        for name in (
            "sample_rate",
            "nx",
            "ny",
            "num_conditions",
            "condition_names",
            "uniform_length",
            "padded",
        ):
            if hasattr(dataset, name):
                setattr(self, name, getattr(dataset, name))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """Return one item, ``(x, *conditions, y)`` or a dict."""
        return normalise_item(self.dataset[index])

    def __getattr__(self, name: str) -> Any:
        """Attributes that only the plugin's object has (``x``, ``y``, …)."""
        if name == "dataset":
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def set_epoch(self, epoch: int) -> None:
        """Passed on if the object has it."""
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(epoch)

    def handshake(self, net: Any) -> None:
        """Passed on if the object has it; the default checks otherwise."""
        if hasattr(self.dataset, "handshake"):
            self.dataset.handshake(net)
        else:
            super().handshake(net)

    def scale_output(self, gain: float) -> None:
        """Passed on if the object has it.

        Raises:
            NotImplementedError: it has not.
        """
        if not hasattr(self.dataset, "scale_output"):
            raise NotImplementedError(f"{type(self.dataset).__name__} has no scale_output(gain)")
        self.dataset.scale_output(gain)
        self.output_gain *= gain

    def teardown(self) -> None:
        """Passed on if the object has it."""
        if hasattr(self.dataset, "teardown"):
            self.dataset.teardown()


def as_dataset(dataset: Any) -> AbstractDataset:
    """Return `dataset` itself if it is an :class:`AbstractDataset`, or wrapped as one."""
    return dataset if isinstance(dataset, AbstractDataset) else PlainDataset(dataset)
