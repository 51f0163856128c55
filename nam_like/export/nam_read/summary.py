"""What `nam_like info` shows about a `.nam` file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nam_like.export.nam_read.container import parse_submodels
from nam_like.export.nam_read.player import NamModel
from nam_like.export.nam_read.wavenet import slim_sizes

__all__ = ["Member", "Summary", "summary"]


@dataclass(frozen=True)
class Member:
    """One model of a container and up to which knob value it plays."""

    max_value: float
    architecture: str
    version: str
    num_weights: int


@dataclass(frozen=True)
class Summary:
    """Facts about a model.

    Attributes:
        architecture: for example "WaveNet".
        version: file version.
        sample_rate: Hz, or None.
        num_weights: of the network that plays.
        receptive_field: samples.
        receptive_field_ms: milliseconds, None when the rate is unknown.
        prewarm_samples: zeros the engine feeds before it plays.
        metadata: as in the file.
        config: as in the file.
        members: the models of a container.
        allowed_channels: the sizes of each array of a slimmable WaveNet, else empty.
    """

    architecture: str
    version: str
    sample_rate: float | None
    num_weights: int
    receptive_field: int
    receptive_field_ms: float | None
    prewarm_samples: int
    metadata: Mapping[str, Any]
    config: Mapping[str, Any]
    members: tuple[Member, ...]
    allowed_channels: tuple[tuple[int, ...], ...]

    @property
    def has_size_knob(self) -> bool:
        """Whether `slim` has an effect on this model."""
        return bool(self.members or self.allowed_channels)


def summary(model: NamModel) -> Summary:
    """Collect what is worth showing about a loaded model."""
    members: tuple[Member, ...] = ()
    sizes: tuple[tuple[int, ...], ...] = ()
    if model.architecture == "SlimmableContainer":
        members = tuple(
            Member(m.max_value, m.envelope.architecture, m.envelope.version, len(m.envelope.weights))
            for m in parse_submodels(model.envelope)
        )
    elif model.architecture == "WaveNet":
        sizes = slim_sizes(model.envelope)
    rate, field = model.sample_rate, model.receptive_field
    return Summary(
        architecture=model.architecture,
        version=model.version,
        sample_rate=rate,
        num_weights=model.num_weights,
        receptive_field=field,
        receptive_field_ms=None if rate is None else 1000.0 * field / rate,
        prewarm_samples=model.network.prewarm_samples,
        metadata=model.metadata,
        config=model.config,
        members=members,
        allowed_channels=sizes if any(sizes) else (),
    )
