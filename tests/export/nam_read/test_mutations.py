"""Whatever is wrong with a file, the answer is one clear error, never a traceback from inside."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nam_like.errors import NamFileError
from nam_like.export.nam_read import load_nam, summary

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "golden"
NAMES = [
    "wn_film_blended_all",
    "wn_slimmable",
    "wn_condition_dsp",
    "a2_packed",
    "lstm_1x8",
    "convnet_bn",
    "legacy_gated",
]
DOCUMENTS = {name: json.loads((GOLDEN / name / "model.nam").read_text("utf-8")) for name in NAMES}
VALUES = st.sampled_from(
    [None, True, False, -1, 0, 1, 2, 3, 2.5, 1e300, 2**31, 10**30, "", "Tanh", "none", [], [1], {}, [[]]]
)
SILENCE = np.zeros(8, np.float32)


def places(value, path=()):
    """The path of everything in a document but the single weights."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list) and path[-1] != "weights":
        for i, item in enumerate(value):
            yield from places(item, (*path, i))


PLACES = {name: [p for p in places(d) if p] for name, d in DOCUMENTS.items()}


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from(NAMES), remove=st.booleans(), value=VALUES)
def test_one_wrong_value_anywhere(data, name, remove, value):
    *parents, last = data.draw(st.sampled_from(PLACES[name]))
    document = copy.deepcopy(DOCUMENTS[name])
    parent = document
    for key in parents:
        parent = parent[key]
    if remove:
        del parent[last]
    else:
        parent[last] = value
    try:
        model = load_nam(document)
    except NamFileError:
        return
    assert model.process(SILENCE, prewarm=False).shape == SILENCE.shape
    assert summary(model).num_weights > 0


@pytest.mark.parametrize("name", NAMES)
def test_truncated_files(name, tmp_path):
    text = (GOLDEN / name / "model.nam").read_bytes()
    path = tmp_path / "model.nam"
    for end in range(0, len(text) - 1, len(text) // 7):
        path.write_bytes(text[:end])
        with pytest.raises(NamFileError, match="is not JSON"):
            load_nam(path)
