"""From the config of the dataset ``cuts`` to a dataset or a stream."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nam_like.data.base import AbstractDataset, DataError
from nam_like.data.cuts.dataset import CutsDataset
from nam_like.data.cuts.examples import ExampleMaker
from nam_like.data.cuts.mixture import Mixture, load_input_cfg, path_of
from nam_like.data.cuts.nemo import NemoKeys
from nam_like.data.cuts.noise import NoiseBank, NoiseMixer
from nam_like.data.cuts.opening import Defaults, held, is_sharded, open_source, paths_of, shar_items
from nam_like.data.cuts.optional import require
from nam_like.data.cuts.responses import Reverberation
from nam_like.data.cuts.shar import ShardSource
from nam_like.data.cuts.sources import CutSource, Limits
from nam_like.data.cuts.stream import CutsStream, Leaf
from nam_like.data.reweighting import Member
from nam_like.data.segments import mix_seed
from nam_like.data.store import find_file
from nam_like.errors import UserError

if TYPE_CHECKING:
    from nam_like.data.cuts.config import CutsDatasetConfig

__all__ = ["build_cuts"]

log = logging.getLogger(__name__)

_NOISE_KEYS = ("cuts_path", "shar_path", "manifest_filepath", "input_cfg")


def build_cuts(
    config: CutsDatasetConfig, folders: tuple[Path, ...], split: str, seed: int
) -> AbstractDataset:
    """Make the dataset that a config describes.

    Args:
        config: of the dataset.
        folders: where relative paths are looked up after the current directory.
        split: validation is always finite.
        seed: of the run, for this dataset.

    Raises:
        UserError: a file is missing, or Lhotse is not installed.
        DataError: a manifest or archive is wrong.
    """
    require("lhotse", "Lhotse cuts")
    seed = mix_seed(seed, config.seed)
    defaults = Defaults(
        folders,
        Limits(config.min_duration, config.max_duration),
        NemoKeys(config.input_key, config.target_key, config.reference_key, config.embedding_key),
        config.require_target,
        config.slice_length,
    )
    items = _items(config, folders)
    mixture = Mixture(items, config.reweight_temperature, strict=config.reweight_strict)
    sources = [_open(member, defaults, mixed=config.input_cfg is not None) for member in mixture.members]
    make = _maker(config, folders)
    endless = config.shar_path is not None or config.input_cfg is not None or config.force_iterable_dataset
    if not endless or split == "validation" or config.force_finite or config.force_map_dataset:
        if len(sources) > 1:
            log.info("a finite dataset has all cuts of its sources once: their weights have no use")
        names = [path_of(member) for member in mixture.members]
        cuts = [held(source, name) for source, name in zip(sources, names, strict=True)]
        return CutsDataset(cuts, make, seed=seed, tags=[member.tags for member in mixture.members])
    leaves = [
        Leaf(
            source,
            is_sharded(member.item),
            member.probability,
            member.tags,
            path_of(member),
            _order_seed(member.item.get("shard_seed", config.shard_seed)),
        )
        for source, member in zip(sources, mixture.members, strict=True)
    ]
    return CutsStream(
        leaves, make, seed=seed, shuffle_buffer_size=config.shuffle_buffer_size, mixture=mixture
    )


def _open(member: Member, defaults: Defaults, *, mixed: bool) -> CutSource | ShardSource:
    """Open a source; of a mixture, say which one cannot be."""
    try:
        return open_source(member.item, defaults)
    except UserError as error:
        if not mixed:
            raise
        raise DataError(f"{path_of(member)}: {error}") from error


def _items(config: CutsDatasetConfig, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The config's source as items of a mixture."""
    if config.input_cfg is not None:
        return load_input_cfg(config.input_cfg, folders)
    if config.shar_path is not None:
        return shar_items(config.shar_path, folders)
    if config.cuts_path is not None:
        return [{"type": "lhotse", "cuts_path": config.cuts_path, "tags": {}}]
    return [{"type": "nemo", "manifest_filepath": config.manifest_filepath, "tags": {}}]


def _order_seed(given: Any) -> int | None:
    if given == "randomized":
        return None
    if isinstance(given, bool) or not isinstance(given, int):
        raise DataError(f'expected `shard_seed` to be "randomized" or an integer, but got {given!r}')
    return mix_seed(given)


def _maker(config: CutsDatasetConfig, folders: tuple[Path, ...]) -> ExampleMaker:
    noise = reverberation = None
    if config.noise_path is not None:
        bank = _noise_bank(config.noise_path, folders)
        noise = NoiseMixer(bank, config.noise_snr, config.noise_mix_prob, config.sample_rate)
    if config.rir_enabled:
        paths = None if config.rir_path is None else paths_of(config.rir_path, folders, "rir_path")
        reverberation = Reverberation(paths, config.rir_prob, config.sample_rate)
    return ExampleMaker(
        sample_rate=config.sample_rate,
        truncate_duration=config.truncate_duration,
        truncate_offset_type=config.truncate_offset_type,
        channel_selector=config.channel_selector,
        normalization_signal=config.normalization_signal,
        require_target=config.require_target,
        noise=noise,
        reverberation=reverberation,
        augment_order=config.augment_order,
    )


def _noise_bank(given: str | Mapping[str, Any], folders: tuple[Path, ...]) -> NoiseBank:
    """The noises of ``noise_path``; those in archives are held in memory, undecoded."""
    source = _noise_source(given, folders)
    kind, value = next(iter(source.items()))
    if kind == "input_cfg":
        items = load_input_cfg(value, folders, "noise_path.input_cfg")
    elif kind == "shar_path":
        items = shar_items(value, folders)
    else:
        items = [{"type": "lhotse" if kind == "cuts_path" else "nemo", kind: value, "tags": {}}]
    mixture = Mixture(items)
    defaults = Defaults(folders, keys=NemoKeys(target_key=None), require_target=False)
    sources = [
        held(open_source(member.item, defaults), f"noise_path: {path_of(member)}")
        for member in mixture.members
    ]
    return NoiseBank(sources, mixture.probabilities)


def _noise_source(given: str | Mapping[str, Any], folders: Sequence[Path]) -> dict[str, Any]:
    """``noise_path`` as a key of a source and its value."""
    if isinstance(given, Mapping):
        if len(given) != 1 or next(iter(given)) not in _NOISE_KEYS:
            raise DataError(
                f"expected `noise_path` to have one of {', '.join(_NOISE_KEYS)}, but got "
                f"{', '.join(given) or 'none'}"
            )
        return dict(given)
    if given.endswith((".yaml", ".yml")):
        return {"input_cfg": given}
    if given.endswith((".jsonl", ".jsonl.gz")):
        return {"cuts_path": given}
    if find_file(given, folders, "noise_path").is_dir():
        return {"shar_path": given}
    return {"manifest_filepath": given}
