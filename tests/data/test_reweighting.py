"""Draw probabilities against a table worked out by hand, and the ways in which a mixture can be wrong."""

from __future__ import annotations

import itertools
import logging
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nam_like.data.base import DataError
from nam_like.data.reweighting import nesting_depth, probabilities, temperatures


def group(weight: float | None, *items: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "group", "input_cfg": mixture(*items)}
    return made if weight is None else {**made, "weight": weight}


def mixture(*items: Any) -> list[Any]:
    """Numbers are weights of datasets, None is a dataset without one."""
    return [
        item
        if isinstance(item, dict)
        else {"type": "lhotse_shar", "shar_path": "x", **({} if item is None else {"weight": item})}
        for item in items
    ]


def found(items: list[Any], temperature: Any) -> list[float]:
    taus = temperatures(temperature, nesting_depth({"input_cfg": items}))
    return [member.probability for member in probabilities(items, taus)]


FIRST = mixture(group(None, 900, 100), 200, 300)
SECOND = mixture(group(0.7, 600, 400), group(0.3, 100))
TASKS = mixture(group(0.7, 600, 100), group(0.3, 50, 200))


@pytest.mark.parametrize(
    ("items", "temperature", "expected"),
    [
        (FIRST, 0.5, [0.375952, 0.125317, 0.224174, 0.274556]),
        (FIRST, 1, [0.6, 0.066667, 0.133333, 0.2]),
        (FIRST, 0, [1 / 6, 1 / 6, 1 / 3, 1 / 3]),
        (FIRST, 2, [0.874164, 0.010792, 0.035398, 0.079646]),
        (SECOND, [1.0, 0.0], [0.35, 0.35, 0.30]),
        (SECOND, [1, 1], [0.42, 0.28, 0.30]),
        (SECOND, [0, 1], [0.30, 0.20, 0.50]),
        (SECOND, [0.5, 0.5], [0.332704, 0.271652, 0.395644]),
        (SECOND, [0, 0], [0.25, 0.25, 0.50]),
        (SECOND, [2, 0], [0.422414, 0.422414, 0.155172]),
        (mixture(group(None, None)), [1.0], [1.0]),
        (mixture(100), [1.0, 0.5, 0.0], [1.0]),
        (TASKS, [1.0, 0.0], [0.35, 0.35, 0.15, 0.15]),
        (TASKS, [1, 1], [0.6, 0.1, 0.06, 0.24]),
        (TASKS, [0.5, 0.5], [0.429154, 0.175202, 0.131881, 0.263763]),
        (mixture(group(197, 197), group(2159, 544, 1615)), [1, 0], [0.083616, 0.458192, 0.458192]),
        (mixture(900, 100), 0, [0.5, 0.5]),
        (mixture(900, 100), 1, [0.9, 0.1]),
        (mixture(900, 100), None, [0.9, 0.1]),
        (mixture(0.9, 0.09, 0.01), 0.5, [0.703414, 0.222439, 0.074146]),
        (mixture(100, 400, 1600), 0.5, [0.142857, 0.285714, 0.571429]),
        (mixture(None, None), 0.3, [0.5, 0.5]),
    ],
)
def test_probabilities(items: list[Any], temperature: Any, expected: list[float]) -> None:
    assert found(items, temperature) == pytest.approx(expected, abs=1e-6)


def test_depth_counts_the_levels_of_the_deepest_path() -> None:
    flat, nested = mixture(1, 2), mixture(group(1, 1))
    assert nesting_depth({"input_cfg": flat}) == 1
    assert nesting_depth({"input_cfg": nested}) == 2
    assert nesting_depth({"input_cfg": mixture(group(1, 1), group(1, 2))}) == 2
    assert nesting_depth({"input_cfg": mixture(group(1, group(1, 1)), group(1, 2), 3)}) == 3
    assert nesting_depth({"manifest_filepath": "a.json"}) == 0
    assert nesting_depth({"input_cfg": []}) == 1


@pytest.mark.parametrize(
    ("given", "depth", "expected", "message"),
    [
        (
            0.5,
            2,
            [0.5, 0.5],
            "reweight_temperature is a scalar (0.5), broadcasting to all 2 levels. Expanded to: [0.5, 0.5]",
        ),
        ([1.0], 2, [1.0, 1.0], "the last one is repeated: [1.0, 1.0]"),
        ([1.0, 0.5, 0.0], 1, [1.0], "only the first are used: [1.0]"),
        (0.5, 0, [], "no effect"),
        (0.0, 1, [0.0], "scalar (0.0)"),
    ],
)
def test_what_is_not_one_value_per_level_is_completed_and_told_once(
    given: Any, depth: int, expected: list[float], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert temperatures(given, depth) == expected
    (record,) = caplog.records
    assert message in record.getMessage()


def test_what_fits_is_taken_silently(caplog: pytest.LogCaptureFixture) -> None:
    assert temperatures([1.0, 0.0], 2) == [1.0, 0.0]
    assert temperatures(None, 2) == [1.0, 1.0]
    assert not caplog.records


@pytest.mark.parametrize("given", [[], -1, [1.0, -0.1], math.nan, math.inf, True, "hot", [None]])
def test_temperatures_that_are_none(given: Any) -> None:
    with pytest.raises(DataError, match="reweight_temperature"):
        temperatures(given, 2)


def test_strict_lists_must_fit() -> None:
    message = (
        r"reweight_temperature list length \(3\) does not match the input_cfg nesting depth \(1\)\. "
        r"Provide exactly 1 values"
    )
    with pytest.raises(DataError, match=message):
        temperatures([1.0, 0.5, 0.0], 1, strict=True)
    assert temperatures([0.5], 1, strict=True) == [0.5]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "Empty group in dataset config list"),
        (
            mixture(group(1, 1), {"type": "group", "weight": 1, "input_cfg": []}),
            r"list: input_cfg\[1\]\.input_cfg",
        ),
        (mixture(1, {"type": "group", "weight": 1}), r"input_cfg in the group input_cfg\[1\]"),
        (mixture(1, None), r"input_cfg\[1\]: Missing dataset weight"),
        (mixture(1, group(None, 1, None)), r"input_cfg\[1\]\.input_cfg\[1\]: Missing dataset weight"),
        (mixture(1, 0), r"All weights must be positive \(> 0\), got: \[1, 0\]"),
        (mixture(1, -2.5), "must be positive"),
        (mixture(1, math.nan), "must be positive"),
        (mixture(1, True), "must be positive"),
    ],
)
def test_mixtures_that_are_none(items: list[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        probabilities(items, [1.0] * max(1, nesting_depth({"input_cfg": items})))


def test_tags_of_groups_belong_to_their_members() -> None:
    inner = {"type": "lhotse", "cuts_path": "a", "tags": {"room": "hall", "task": "own"}}
    items = [{"type": "group", "tags": {"task": "denoise"}, "input_cfg": [inner, {"type": "lhotse"}]}]
    first, second = probabilities(items, [1.0, 1.0])
    assert first.tags == {"task": "own", "room": "hall"}
    assert second.tags == {"task": "denoise"}
    assert first.place == ("input_cfg", 0, "input_cfg", 0)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=6), st.floats(0, 50))
def test_probabilities_add_up_and_keep_the_order_of_the_weights(weights: list[float], tau: float) -> None:
    made = [member.probability for member in probabilities(mixture(*weights), [tau])]
    assert math.fsum(made) == pytest.approx(1.0)
    ranked = sorted(range(len(weights)), key=weights.__getitem__)
    for small, large in itertools.pairwise(ranked):
        assert made[small] <= made[large] * (1 + 1e-9)
