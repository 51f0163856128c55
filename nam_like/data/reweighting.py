"""How often each of many datasets is drawn from: nested groups, weights, and a temperature per level.

    p_i = w_i^τ / Σ_j w_j^τ        within one group, with the temperature τ of its level

The probability of a dataset is the product along its path. τ = 1 keeps the ratios of the weights, τ = 0 draws
from all members equally often, between them small members are drawn from more often than their weight says.

A mixture is a list of dicts, as ``input_cfg`` holds it: an item of type ``group`` has an ``input_cfg`` of its
own, all others are datasets.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nam_like.data.base import DataError

__all__ = ["Member", "nesting_depth", "probabilities", "temperatures"]

log = logging.getLogger(__name__)

Item = Mapping[str, Any]
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Member:
    """A dataset of a mixture.

    Attributes:
        place: where it stands: ``("input_cfg", 0, "input_cfg", 2)``.
        item: its keys.
        tags: its own, and those of the groups around it.
        probability: how often it is drawn from.
    """

    place: Place
    item: Item
    tags: dict[str, Any]
    probability: float


def nesting_depth(config: Any) -> int:
    """Levels of ``input_cfg`` keys on the deepest path through a config of dicts and lists."""
    if isinstance(config, Mapping):
        return max(((key == "input_cfg") + nesting_depth(value) for key, value in config.items()), default=0)
    if isinstance(config, Sequence) and not isinstance(config, str):
        return max((nesting_depth(value) for value in config), default=0)
    return 0


def temperatures(given: float | Sequence[float] | None, depth: int, *, strict: bool = False) -> list[float]:
    """One temperature per level, from a number or a list of any length.

    Args:
        given: a number is meant for all levels; a shorter list goes on with its last value, and what is too
            much of a longer one is left out, with a warning in the log each; None leaves the weights as they
            are.
        depth: levels, see :func:`nesting_depth`.
        strict: a list must have one entry per level.

    Raises:
        DataError: an empty list, one of the wrong length with `strict`, or a value that is not a number from
            zero up.
    """
    if given is None:
        return [1.0] * depth
    if depth == 0:
        log.warning("reweight_temperature has no effect: it is for datasets in input_cfg, and there is none")
        return []
    entries = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    for entry in entries:
        number = isinstance(entry, int | float) and not isinstance(entry, bool)
        if not number or not math.isfinite(entry) or entry < 0:
            raise DataError(f"expected reweight_temperature to be 0 or more, but got {entry!r}")
    if not entries:
        raise DataError("expected reweight_temperature to have at least one value, but got an empty list")
    values = [float(entry) for entry in entries]
    if not isinstance(given, Sequence):
        made = values * depth
        log.warning(
            "reweight_temperature is a scalar (%s), broadcasting to all %d levels. Expanded to: %s",
            given,
            depth,
            made,
        )
        return made
    if strict and len(values) != depth:
        raise DataError(
            f"reweight_temperature list length ({len(values)}) does not match the input_cfg nesting "
            f"depth ({depth}). Provide exactly {depth} values (one per nesting level), or use a scalar to "
            "apply the same temperature to all levels."
        )
    if len(values) < depth:
        made = values + [values[-1]] * (depth - len(values))
        log.warning(
            "reweight_temperature has %d values for %d levels; the last one is repeated: %s",
            len(values),
            depth,
            made,
        )
        return made
    if len(values) > depth:
        log.warning(
            "reweight_temperature has %d values for %d levels; only the first are used: %s",
            len(values),
            depth,
            values[:depth],
        )
    return values[:depth]


def probabilities(items: Sequence[Item], taus: Sequence[float]) -> list[Member]:
    """Draw probabilities of all datasets of a mixture, in their order.

    Where no item of a group has a weight, all are drawn from equally often. A group without a weight among
    weighted siblings weighs as much as its members together, with a warning in the log.

    Args:
        items: the mixture.
        taus: a temperature per level, the outermost first.

    Raises:
        DataError: an empty group, a group without ``input_cfg``, a weight that is missing or not positive.
    """
    return _members(items, list(taus), ("input_cfg",), 1.0, {})


def _members(
    items: Sequence[Item], taus: list[float], place: Place, probability: float, tags: dict[str, Any]
) -> list[Member]:
    if not items:
        raise DataError(f"Empty group in dataset config list: {_name(place)}")
    shares = _shares(items, taus[0], place)
    found = []
    for index, (item, share) in enumerate(zip(items, shares, strict=True)):
        here, mine = (*place, index), {**tags, **item.get("tags", {})}
        if item.get("type") == "group":
            inner = (*here, "input_cfg")
            found += _members(_inside(item, here), taus[1:], inner, probability * share, mine)
        else:
            found.append(Member(here, item, mine, probability * share))
    return found


def _shares(items: Sequence[Item], tau: float, place: Place) -> list[float]:
    """Probabilities of the members of one group."""
    weights: list[Any] = [item.get("weight") for item in items]
    if all(weight is None for weight in weights):
        return [1.0 / len(items)] * len(items)
    for index, item in enumerate(items):
        if weights[index] is None and item.get("type") == "group":
            weights[index] = _total(item, (*place, index))
            log.warning(
                "%s has no weight, although its siblings have; its members' sum is taken: %g",
                _name((*place, index)),
                weights[index],
            )
    if None in weights:
        raise _missing((*place, weights.index(None)))
    # Relative to the largest, so that no power overflows.
    _check_positive(weights)
    largest = max(weights)
    powers = [(weight / largest) ** tau for weight in weights]
    return [power / math.fsum(powers) for power in powers]


def _total(group: Item, place: Place) -> float:
    """Sum of the members' weights; those of groups without one are summed up themselves."""
    total = 0.0
    for index, item in enumerate(_inside(group, place)):
        weight = item.get("weight")
        if weight is None:
            inner = (*place, "input_cfg", index)
            if item.get("type") != "group":
                raise _missing(inner)
            weight = _total(item, inner)
        _check_positive([weight])
        total += weight
    return total


def _inside(group: Item, place: Place) -> Sequence[Item]:
    inside = group.get("input_cfg")
    if inside is None:
        raise DataError(f"expected input_cfg in the group {_name(place)}, but got none")
    items: Sequence[Item] = inside
    return items


def _check_positive(weights: Sequence[Any]) -> None:
    for weight in weights:
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight <= 0:
            raise DataError(f"All weights must be positive (> 0), got: {list(weights)}")


def _missing(place: Place) -> DataError:
    return DataError(
        f"{_name(place)}: Missing dataset weight. When weighting datasets, every dataset must have a "
        "specified weight."
    )


def _name(place: Place) -> str:
    """``input_cfg[0].input_cfg[2]``."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
