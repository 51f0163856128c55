from __future__ import annotations

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nam_like.audio.flat_tops import FlatTops


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, -1.0]), min_size=1, max_size=60),
    st.integers(1, 5),
    st.data(),
)
def test_runs_do_not_depend_on_the_blocks(samples: list[float], min_run: int, data: st.DataObject) -> None:
    runs, position = [], 0
    for value, group in groupby(samples):
        length = len(list(group))
        if abs(value) >= 1.0 and length >= min_run:
            runs.append((position, length))
        position += length
    tops = FlatTops(1.0, min_run)
    start = 0
    while start < len(samples):
        size = data.draw(st.integers(1, len(samples)))
        block = np.array(samples[start : start + size])
        if np.abs(block).max() >= 1.0 or data.draw(st.booleans()):  # quiet blocks may be left out
            tops.add(start, block)
        start += size
    tops.close()
    assert tops.count == len(runs)
    if runs:
        assert tops.first == runs[0][0]
        assert tops.longest == max(length for _, length in runs)
