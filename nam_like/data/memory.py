"""Whether the recordings of a run are held in memory or stay in their files."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nam_like.config.component import Component
from nam_like.data.base import AbstractDataset, DatasetContext
from nam_like.data.paired import PairedDataset
from nam_like.data.store import AudioKey, AudioStore
from nam_like.errors import UserError

__all__ = ["MemoryPlan"]

LOGGER = logging.getLogger(__name__)

_MIB = 1 << 20
_SAMPLE_BYTES = 4
HELD_SHARE = 8
"""Validation recordings that take up to this fraction of the limit are held in memory in any case."""


@dataclass(frozen=True)
class MemoryPlan:
    """What data.json says about memory.

    Attributes:
        memory: ``auto``, ``resident`` or ``mapped``.
        limit: bytes that ``auto`` lets recordings take.
    """

    memory: str = "auto"
    limit: int = 1024 * _MIB

    @classmethod
    def of(cls, data: Any) -> MemoryPlan:
        """The plan of a data config; the default one where it says nothing."""
        limit = getattr(data, "memory_limit_mib", None)
        return cls(getattr(data, "memory", "auto"), cls.limit if limit is None else limit * _MIB)

    def is_mapped(self, specs: Iterable[Component], context: DatasetContext) -> bool:
        """Whether recordings stay in their files.

        Only headers are read. A file that cannot be used counts nothing: it is reported, with its place, when
        its dataset is built.

        Args:
            specs: the datasets of the run; each file they share counts once.
            context: what they are built with.
        """
        if self.memory != "auto":
            return self.memory == "mapped"
        sizes: dict[AudioKey, int] = {}
        for spec in specs:
            with contextlib.suppress(UserError):
                for key in spec.config.audio_files(context) if hasattr(spec.config, "audio_files") else ():
                    if key not in sizes:
                        sizes[key] = AudioStore.size(key)
        total = sum(sizes.values())
        if total > self.limit:
            LOGGER.info(
                "%d recordings stay in their files: they would take %d MiB of memory, more than %d MiB "
                "(`memory` in data.json)",
                len(sizes),
                total // _MIB,
                self.limit // _MIB,
            )
        return total > self.limit

    def hold_what_is_short(self, validation: AbstractDataset) -> None:
        """Read validation recordings into memory as long as there is room: each epoch needs them whole.

        Args:
            validation: the split; datasets that do not stay in files are left as they are.
        """
        room = self.limit // HELD_SHARE
        for dataset in validation.base_datasets():
            if isinstance(dataset, PairedDataset) and dataset.is_mapped:
                room -= 2 * len(dataset.x) * _SAMPLE_BYTES
                if room < 0:
                    return
                dataset.hold()
