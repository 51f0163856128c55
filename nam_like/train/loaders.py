"""The loaders of a run. An endless stream needs more than options: somebody has to say what an epoch is."""

from __future__ import annotations

import inspect
import logging
from typing import Any

from nam_like.config.run import RunConfig
from nam_like.config.signature import given
from nam_like.data.base import AbstractDataset
from nam_like.data.build import Datasets
from nam_like.data.curriculum import Stage
from nam_like.data.loader import BatchLoader, make_dataloader
from nam_like.data.stream_loader import StreamLoader
from nam_like.errors import UserError

__all__ = ["mixture_of", "steps_per_epoch", "train_loader", "val_loader"]

log = logging.getLogger(__name__)

#: Options of a loader that mean nothing for a stream, at the value that changes nothing.
_NEUTRAL = {"shuffle": True, "drop_last": None, "persistent_workers": True, "in_order": True}


def train_loader(config: RunConfig, datasets: Datasets) -> BatchLoader | StreamLoader:
    """The loader of training batches.

    Raises:
        UserError: its options do not fit the data.
    """
    if getattr(datasets.train, "streamed", False):
        return _stream_loader(config, datasets.train)
    learning = config.learning
    if learning.batch_duration is not None:
        raise config.error(
            "learning",
            ("batch_duration",),
            "expected a stream of training data for `batch_duration` (Shar or a mixture), but got "
            f"{len(datasets.train)} items, which train_dataloader.batch_size puts together",
        )
    stages = [Stage(stage.until_epoch, stage.ny, stage.batch_size) for stage in learning.curriculum]
    options = given(learning.train_dataloader)
    try:
        return make_dataloader(datasets.train, options, train=True, seed=learning.seed, stages=stages)
    except UserError as error:
        if not stages:
            raise
        raise config.error("learning", ("curriculum",), str(error)) from error


def val_loader(config: RunConfig, datasets: Datasets) -> BatchLoader:
    """The loader of validation batches.

    Raises:
        UserError: its options do not fit the data, or the data has no end.
    """
    if getattr(datasets.validation, "streamed", False):
        raise config.error(
            "data", ("validation",), "expected data with an end for the validation, but got a stream"
        )
    options = given(config.learning.val_dataloader)
    return make_dataloader(datasets.validation, options, train=False, seed=config.learning.seed)


def _stream_loader(config: RunConfig, dataset: Any) -> StreamLoader:
    """The loader of a stream, once it is known how much of it an epoch is."""
    learning = config.learning
    _check_epoch_length(config)
    if learning.curriculum:
        raise config.error(
            "learning", ("curriculum",), "expected no curriculum for a stream of training data, but got one"
        )
    options = given(learning.train_dataloader)
    duration = learning.batch_duration
    size = options.pop("batch_size", None)
    if duration is not None and "batch_size" not in learning.train_dataloader.model_fields_set:
        size = None
    known = inspect.signature(StreamLoader).parameters
    for name in list(options):
        if name in known:
            continue
        value, neutral = options.pop(name), _NEUTRAL.get(name)
        if name not in _NEUTRAL or (neutral is not None and value != neutral):
            raise config.error(
                "learning",
                ("train_dataloader", name),
                f"expected no `{name}` for a stream of training data, but got {value}"
                + ("; `shuffle_buffer_size` of data.json sets its order" if name == "shuffle" else ""),
            )
    return StreamLoader(
        dataset,
        size,
        seed=learning.seed,
        batch_duration=duration,
        quadratic_duration=learning.quadratic_duration,
        **options,
    )


def _check_epoch_length(config: RunConfig) -> None:
    """Refuse a stream without an end that nobody cuts into epochs; say how it is cut."""
    trainer = config.learning.trainer_arguments()
    limit, every = trainer.get("limit_train_batches"), trainer.get("val_check_interval")
    if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0:
        epochs = trainer.get("max_epochs")
        log.info(
            "the training data has no end: an epoch is %d batches, with a validation behind every %s%s",
            limit,
            f"{trainer['check_val_every_n_epoch']} epochs"
            if (trainer.get("check_val_every_n_epoch") or 1) > 1
            else "epoch",
            f", {epochs} epochs" if isinstance(epochs, int) and epochs > 0 else "",
        )
        return
    if isinstance(trainer.get("max_steps"), int) and trainer["max_steps"] > 0 and isinstance(every, int):
        log.info(
            "the training data has no end: %d steps, with a validation every %d batches",
            trainer["max_steps"],
            every,
        )
        return
    raise config.error(
        "learning",
        ("trainer",),
        "expected `limit_train_batches` (batches per epoch), or `max_steps` and an integer "
        "`val_check_interval`, because the training data (Shar or a mixture) has no end, but got neither",
    )


def steps_per_epoch(loader: BatchLoader | StreamLoader, trainer: dict[str, Any]) -> int | None:
    """Batches of an epoch; None where only the number of all steps is known.

    Args:
        loader: of the training.
        trainer: arguments of Lightning's Trainer.
    """
    limit = trainer.get("limit_train_batches", 1.0)
    if isinstance(loader, StreamLoader):
        return limit if isinstance(limit, int) else None
    batches = len(loader)
    return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def mixture_of(dataset: AbstractDataset) -> Any:
    """The mixture that a dataset draws from, or None."""
    return getattr(dataset, "mixture", None)
