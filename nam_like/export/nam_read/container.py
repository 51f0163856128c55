"""SlimmableContainer: several complete models in one file, chosen by one size knob.

Source: the rules of NeuralAmpModelerCore 0.5.5 (container.cpp).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from nam_like.errors import NamFileError
from nam_like.export.nam_read.envelope import Envelope, parse_envelope
from nam_like.export.nam_read.network import Network

__all__ = ["Submodel", "build_container", "parse_submodels"]


@dataclass(frozen=True)
class Submodel:
    """One member: it plays for knob values below `max_value` (the last one for all above, too)."""

    max_value: float
    envelope: Envelope


def parse_submodels(envelope: Envelope) -> tuple[Submodel, ...]:
    """Read the members of a container.

    Raises:
        NamFileError: none, not strictly ascending, the last below 1, or sample rates that differ.
    """
    config = envelope.config_fields()
    members = tuple(
        Submodel(entry.number("max_value"), parse_envelope(entry.raw("model"), entry.path("model")))
        for entry in config.objects("submodels")
    )
    where = config.path("submodels")
    if not members:
        raise NamFileError(f"expected `{where}` to hold at least one model, but got none")
    values = [member.max_value for member in members]
    if any(later <= earlier for earlier, later in pairwise(values)):
        raise NamFileError(f"expected the max_value of `{where}` to be strictly ascending, but got {values}")
    if values[-1] < 1.0:
        raise NamFileError(f"expected the last max_value of `{where}` to be at least 1, but got {values[-1]}")
    for member in members:
        rates = (envelope.sample_rate, member.envelope.sample_rate)
        if None not in rates and rates[0] != rates[1]:
            raise NamFileError(
                f"expected `{member.envelope.where}.sample_rate` to be the container's {rates[0]:g},"
                f" but got {rates[1]:g}"
            )
    return members


def build_container(
    envelope: Envelope,
    build: Callable[[Envelope, str, float | None], Network],
    prefix: str,
    slim: float | None,
) -> Network:
    """Read all members (a broken one makes the file unusable) and return the one that `slim` chooses."""
    members = parse_submodels(envelope)
    networks = [build(member.envelope, prefix, None) for member in members]
    if slim is None:
        return networks[-1]
    chosen = (network for network, member in zip(networks, members, strict=True) if slim < member.max_value)
    return next(chosen, networks[-1])
