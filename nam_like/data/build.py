"""From the data config to the two datasets of a run."""

from __future__ import annotations

import inspect
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from nam_like.config.base import describe
from nam_like.config.component import Component
from nam_like.config.data import DataConfig
from nam_like.data.adapters import as_dataset
from nam_like.data.base import AbstractDataset, DataError, DatasetContext, Split
from nam_like.data.concat import ConcatDataset
from nam_like.data.hooks import JointHook, check_conditions, check_sample_rates
from nam_like.data.memory import MemoryPlan
from nam_like.data.paired import PairedDataset
from nam_like.data.recording import Region
from nam_like.data.segments import mix_seed
from nam_like.data.store import AudioStore
from nam_like.errors import UserError
from nam_like.registry import DATASETS

__all__ = [
    "DataSpec",
    "Datasets",
    "build_dataset",
    "build_datasets",
    "init_dataset",
    "init_split",
    "register_dataset_initializer",
]

LOGGER = logging.getLogger(__name__)

SPLITS: tuple[Split, Split] = ("train", "validation")


class DataSpec(Protocol):
    """What :func:`build_datasets` reads of a data config: components with the common keys merged in."""

    @property
    def train(self) -> Sequence[Component]:
        """The training datasets."""

    @property
    def validation(self) -> Sequence[Component]:
        """The validation datasets."""

    @property
    def joint(self) -> Sequence[Component]:
        """The joint hooks."""


@dataclass(frozen=True)
class Datasets:
    """The two datasets of a run.

    Attributes:
        train: what the net is fitted to.
        validation: what it is judged by.
        output_gain: what hooks multiplied ``y`` by in both; an export divides by it.
    """

    train: AbstractDataset
    validation: AbstractDataset
    output_gain: float = 1.0


def build_datasets(
    data: DataSpec, nx: int, folders: Sequence[Path] = (), seed: int = 0, store: AudioStore | None = None
) -> Datasets:
    """Build both splits and run the joint hooks, the check for one sample rate always first.

    Args:
        data: the data config.
        nx: input samples per output sample: the net's receptive field.
        folders: where relative paths are looked up after the current directory.
        seed: of everything random in the datasets.
        store: audio files read before; None starts afresh.

    Raises:
        UserError: what the data config asks for cannot be built; the message begins with the entry.
    """
    store = AudioStore() if store is None else store  # an empty store is false, but it is the caller's
    context = DatasetContext(nx, tuple(Path(folder) for folder in folders), store, "train", seed)
    memory = MemoryPlan.of(data)
    store.mapped = memory.is_mapped([*data.train, *data.validation], context)
    train = _build_split("train", data.train, context, bool(getattr(data, "train_is_list", False)))
    validation = _build_split(
        "validation", data.validation, context, bool(getattr(data, "validation_is_list", False))
    )
    if store.mapped:
        memory.hold_what_is_short(validation)
    check_sample_rates(train, validation)
    check_conditions(train, validation)
    for number, hook in enumerate(data.joint):
        with _located("joint", number):
            _build_hook(hook).apply(train, validation)
    _warn_of_overlap(train, validation)
    return Datasets(train, validation, _common_gain(train, validation))


def build_dataset(spec: Component, context: DatasetContext) -> AbstractDataset:
    """Build one dataset of a data config.

    Our own configs build themselves from the context. Registered initializer functions get the raw dict with
    ``nx`` in it; other classes get their config as keyword arguments, and ``nx`` if they take it.

    Raises:
        UserError: it cannot be built.
    """
    if spec.entry.takes_dict:
        return as_dataset(spec.entry.load()(_raw_config(spec.config, context.nx)))
    if hasattr(spec.config, "build"):
        return as_dataset(spec.config.build(context))
    takes_nx = "nx" in inspect.signature(spec.entry.load()).parameters
    return as_dataset(spec.build(**({"nx": context.nx} if takes_nx else {})))


def init_dataset(
    config: Mapping[str, Any],
    split: Split,
    *,
    nx: int | None = None,
    folders: Sequence[Path] = (),
    seed: int = 0,
) -> AbstractDataset:
    """Build one split of a data JSON that was read elsewhere (scripts and notebooks; a run validates more).

    Args:
        config: the object with ``train``, ``validation`` and ``common``; ``type`` beside them or in an entry
            names the kind of dataset.
        split: which one.
        nx: input samples per output sample; None takes ``nx`` of the config.
        folders: where relative paths are looked up after the current directory.
        seed: of everything random in the dataset.

    Raises:
        UserError: the split is missing, ``nx`` is given nowhere, or the dataset cannot be built.
        pydantic.ValidationError: a key or value that its config model refuses.
    """
    if split not in SPLITS:
        raise UserError(f"expected the split to be train or validation, but got '{split}'")
    if split not in config:
        raise UserError(f"expected `{split}` in the data config, but got {describe(dict(config))}")
    # One rule merges and checks a data config; it wants both splits, of which only one is asked for here.
    data = DataConfig.model_validate(
        {**config, "train": config[split], "validation": config[split], "joint": []}
    )
    if nx is None:
        nx = _nx_of(data.train[0].config)
    return init_split(data, split, nx=nx, folders=folders, seed=seed)


def init_split(
    data: DataConfig, split: Split, *, nx: int = 1, folders: Sequence[Path] = (), seed: int = 0
) -> AbstractDataset:
    """Build one split of a data config; arguments as for :func:`init_dataset`.

    Raises:
        UserError: the dataset cannot be built.
    """
    specs = getattr(data, split)
    context = DatasetContext(nx, tuple(Path(folder) for folder in folders), AudioStore(), split, seed)
    context.store.mapped = MemoryPlan.of(data).is_mapped(specs, context)
    return _build_split(split, specs, context, getattr(data, f"{split}_is_list"))


def register_dataset_initializer(name: str, constructor: Any = None, overwrite: bool = False) -> Any:
    """Register a dataset by name; without `constructor` it returns a decorator.

    Args:
        name: what ``"type"`` in the data JSON says.
        constructor: called with one dict: the entry merged over ``common``, with ``nx`` in it. It returns an
            object with ``__len__`` and ``__getitem__``; see :class:`nam_like.data.base.AbstractDataset` for
            what else is used.
        overwrite: replace an earlier registration.

    Raises:
        DuplicateNameError: the name is taken and `overwrite` is false.
    """
    return DATASETS.register(name, constructor, takes_dict=True, overwrite=overwrite)


def _build_split(
    split: Split, specs: Sequence[Component], context: DatasetContext, is_list: bool
) -> AbstractDataset:
    """Build one split: a single dataset, or the concatenation of a list."""
    if not specs:
        raise DataError(f"expected at least one dataset in `{split}`, but got an empty list")
    datasets = []
    for number, spec in enumerate(specs):
        with _located(split, *((number,) if is_list or len(specs) > 1 else ())):
            seed = mix_seed(context.seed, SPLITS.index(split), number)
            dataset = build_dataset(spec, replace(context, split=split, seed=seed))
            if dataset.streamed and len(specs) > 1:
                raise DataError(
                    f"expected `{split}` to be one stream, whose input_cfg mixes several, but got a list"
                )
            if not dataset.streamed and len(dataset) == 0:
                raise DataError("expected at least one item, but got an empty dataset")
            datasets.append(dataset)
    if not is_list and len(datasets) == 1:
        return datasets[0]
    with _located(split):
        return ConcatDataset(datasets)


def _nx_of(config: Any) -> int:
    """`nx` as the config of a dataset gives it."""
    nx = config.get("nx") if isinstance(config, dict) else getattr(config, "nx", None)
    if not isinstance(nx, int):
        raise UserError(f"expected `nx` (the net's receptive field) to be given, but got {describe(nx)}")
    return nx


class _located:  # noqa: N801 - reads as a statement
    """Tells a :class:`UserError` raised inside where in the data config it belongs."""

    def __init__(self, *place: str | int) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, UserError) and not error.place:
            error.put_at(self.place)


def _raw_config(config: Mapping[str, Any], nx: int) -> dict[str, Any]:
    """What an initializer function gets: the entry without notes, and the net's ``nx``."""
    given = config.get("nx")
    if given is not None and given != nx:
        LOGGER.warning("`nx` is %s in the data config, but the net needs %d: the net's is used", given, nx)
    return {**{key: value for key, value in config.items() if not key.startswith("_")}, "nx": nx}


def _build_hook(spec: Component) -> JointHook:
    """Make a hook: an object with ``apply``, or what a factory returns."""
    hook = spec.build()
    if not isinstance(hook, JointHook):
        raise UserError(
            f"expected the hook '{spec.name}' to have a method apply(train, validation), "
            f"but got {type(hook).__name__} without one"
        )
    return hook


def _common_gain(train: AbstractDataset, validation: AbstractDataset) -> float:
    """The output gain that all datasets share."""
    gains = {dataset.output_gain for split in (train, validation) for dataset in split.base_datasets()}
    if len(gains) > 1:
        raise DataError(
            "expected the joint hooks to scale the output of all datasets by one gain, which exports undo, "
            f"but got {', '.join(f'{gain:.6g}' for gain in sorted(gains))}"
        )
    return gains.pop()


def _target_regions(split: AbstractDataset) -> Iterator[Region]:
    for dataset in split.base_datasets():
        if isinstance(dataset, PairedDataset) and (region := dataset.target_region) is not None:
            yield region


def _warn_of_overlap(train: AbstractDataset, validation: AbstractDataset) -> None:
    """Log where the net is judged by targets that it was fitted to."""
    for fitted, judging in itertools.product(train.base_datasets(), validation.base_datasets()):
        if (words := fitted.shared_with(judging)) is not None:
            LOGGER.warning("%s, so the validation figures say nothing about other material", words)
    validation_regions = list(_target_regions(validation))
    for ours in _target_regions(train):
        for other in validation_regions:
            same_samples = (ours.source, ours.sample_rate) == (other.source, other.sample_rate)
            start, stop = max(ours.start, other.start), min(ours.stop, other.stop)
            if same_samples and start < stop:
                LOGGER.warning(
                    "%s: %d samples (%d to %d) are used for training and for validation, so the validation "
                    "figures say nothing about other material",
                    ours.source.path,
                    stop - start,
                    start,
                    stop,
                )
