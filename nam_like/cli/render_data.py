"""The data JSON of a smaller net: what a `.nam` file makes of the inputs takes the place of the recordings.

Played is what a net in training would hear: the whole input file, its channel, converted and with the gain
that the JSON gives. What the JSON says about the recorded output (delay, scale, preroll, channel, lengths)
does not hold for a rendering, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nam_like.audio.checks import FULL_SCALE
from nam_like.audio.io import audio_info, check_rate, decoded_blocks
from nam_like.cli.file_plan import check_outputs
from nam_like.config.document import Document
from nam_like.config.errors import ConfigError, Problem
from nam_like.config.find_file import find_file
from nam_like.config.paired import PairedKeys
from nam_like.config.pairs import PairsConfig, load_pairs
from nam_like.config.splits import SPLITS
from nam_like.errors import UserError
from nam_like.export.render import Dry, check_rate_of_model

__all__ = ["DataPlan", "plan_data"]

#: Keys that say where the recorded output stands, and how it is read.
_OF_THE_RECORDING = ("y_preroll", "allow_unequal_lengths", "y_scale", "channel", "x_channel", "y_channel")
#: Keys beside the datasets that are handed on as they stand.
_HANDED_ON = ("joint", "memory", "memory_limit_mib", "metadata")
_LOUDEST = 0.99


@dataclass(frozen=True)
class DataPlan:
    """What is rendered of a data JSON, and the JSON that names it.

    Attributes:
        document: the data JSON that was read.
        config: what it says.
        played: by split, what is played for each dataset.
        outputs: the `.wav` that each different input becomes.
        target: the data JSON to write.
    """

    document: Document
    config: PairsConfig
    played: dict[str, list[Dry]]
    outputs: dict[Dry, Path]
    target: Path

    @property
    def pairs(self) -> list[tuple[Dry, Path]]:
        """What is to be rendered: every different input once."""
        return list(self.outputs.items())

    def scale(self, peak: float) -> float | None:
        """By what all are scaled, because datasets refuse what reaches full scale; None: not at all.

        Args:
            peak: of all renderings, the largest magnitude.
        """
        return None if peak < FULL_SCALE else round(_LOUDEST / peak, 6)

    def data(self, peak: float) -> dict[str, Any]:
        """The data JSON to write; paths are absolute, because relative ones depend on the current directory.

        Args:
            peak: as of :meth:`scale`.
        """
        scale = {} if self.scale(peak) is None else {"y_scale": self.scale(peak)}
        written: dict[str, Any] = {}
        for split in SPLITS:
            members = [
                _member(keys, dry, self.outputs[dry]) | scale
                for keys, dry in zip(getattr(self.config, split), self.played[split], strict=True)
            ]
            written[split] = members if getattr(self.config, f"{split}_is_list") else members[0]
        return written | {key: self.document.value[key] for key in _HANDED_ON if key in self.document.value}


def plan_data(path: Path, output: Path, model_rate: float | None, *, force: bool = False) -> DataPlan:
    """Read a data JSON and find out what is to be rendered; nothing is written.

    Args:
        path: the data JSON.
        output: folder for the renderings and the new data JSON.
        model_rate: Hz; None takes any.
        force: outputs may exist.

    Raises:
        ConfigError: it holds mistakes, other datasets than paired ones, or inputs that cannot be played; each
            is placed.
        UserError: `output` is a file, outputs exist and `force` is not given, or one is a file that the data
            JSON reads.
    """
    if output.suffix.lower() == ".wav" or (output.exists() and not output.is_dir()):
        raise UserError(f"expected `-o` to be a folder for the renderings and their JSON, but got {output}")
    config, document = load_pairs(path)
    played: dict[str, list[Dry]] = {split: [] for split in SPLITS}
    problems: list[Problem] = []
    for split, place, keys in _members(config):
        try:
            played[split].append(_dry(keys, path.parent, model_rate))
        except UserError as error:  # noqa: PERF203
            problems.append(document.problem(document.key_at_fault(place, str(error)), str(error)))
    if problems:
        raise ConfigError(problems)
    plan = DataPlan(document, config, played, _outputs(config, played, output), output / "data.json")
    check_outputs(
        [*((dry.path, wav) for dry, wav in plan.pairs), (path, plan.target)],
        force=force,
        kept=_recorded(config, path.parent),
    )
    return plan


def _members(config: PairsConfig) -> Iterator[tuple[str, tuple[str | int, ...], PairedKeys]]:
    """Each dataset with its split and its place in the file."""
    for split in SPLITS:
        is_list = getattr(config, f"{split}_is_list")
        for index, keys in enumerate(getattr(config, split)):
            yield split, (split, index) if is_list else (split,), keys


def _dry(keys: PairedKeys, folder: Path, model_rate: float | None) -> Dry:
    """What a dataset reads as input.

    Raises:
        UserError: there is no such file, it cannot be read so, or is not at the model's rate.
    """
    path = find_file(keys.x_path, [folder], "x_path")
    channel = keys.channel if keys.x_channel is None else keys.x_channel
    rate = audio_info(path).sample_rate
    converted = None
    if keys.sample_rate is not None and keys.sample_rate != rate:
        if not keys.resample:
            check_rate(path, rate, keys.sample_rate)
        converted = keys.sample_rate
    check_rate_of_model(path, converted or rate, model_rate)
    next(decoded_blocks(path, channel, 1))  # whether there is such a channel
    return Dry(path, channel, converted, 10.0 ** (keys.input_gain / 20.0))


def _outputs(config: PairsConfig, played: dict[str, list[Dry]], folder: Path) -> dict[Dry, Path]:
    """Where each input goes: ``dry.wav`` is called as its file, ``dry_2.wav`` where that is taken.

    Names that differ in capitals alone are the same, as they are to some file systems.
    """
    outputs: dict[Dry, Path] = {}
    taken: set[str] = set()
    for split in SPLITS:
        for keys, dry in zip(getattr(config, split), played[split], strict=True):
            if dry in outputs:
                continue
            stem = Path(keys.x_path).stem  # a link is called as the link
            name, number = stem, 1
            while name.casefold() in taken:
                number += 1
                name = f"{stem}_{number}"
            taken.add(name.casefold())
            outputs[dry] = folder / f"{name}.wav"
    return outputs


def _recorded(config: PairsConfig, folder: Path) -> Iterable[Path]:
    """The recorded outputs, as far as they are there."""
    for _, _, keys in _members(config):
        try:
            yield find_file(keys.y_path, [folder])
        except UserError:  # noqa: PERF203
            continue


def _member(keys: PairedKeys, dry: Dry, output: Path) -> dict[str, Any]:
    """The keys of a dataset whose output was rendered."""
    kept = keys.model_dump(exclude_unset=True, exclude=set(_OF_THE_RECORDING))
    channel = {} if dry.channel is None else {"x_channel": dry.channel}
    paths = {"x_path": str(dry.path), "y_path": str(output.resolve())}
    return kept | paths | {"delay": 0} | channel
