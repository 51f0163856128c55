import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nam_like.config.locate import locate

TEXT = """{
  // the net
  "net": {"name": "WaveNet", "config": {
    "layers": [
      {"channels": 16}, /* "channels": 0 */
      {"channels": [8,
                    9], "u": "http://x/{\\"a\\": 1}"},
    ],
  }},
}"""


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ((), False, (1, 1, 1)),
        (("net",), False, (3, 10, 1)),
        (("net",), True, (3, 3, 5)),
        (("net", "name"), False, (3, 19, 9)),
        (("net", "config", "layers", 0, "channels"), False, (5, 20, 2)),
        (("net", "config", "layers", 1, "channels", 1), False, (7, 21, 1)),
        (("net", "config", "layers", 1, "u"), False, (7, 30, 21)),
        (("net", "config", "layers", 1, "u"), True, (7, 25, 3)),
        (("net", "config", "layers", 1, "missing"), False, (6, 7, 1)),
        (("net", "config", "layers", 7, "channels"), True, (4, 15, 1)),
        (("nowhere", 1, "x"), False, (1, 1, 1)),
    ],
)
def test_places(path, key, place):
    found = locate(TEXT, path, key=key)
    assert (found.line, found.column, found.span) == place


@given(
    st.recursive(
        st.integers() | st.text() | st.booleans(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    ),
    st.sampled_from([None, 1]),
)
def test_every_value_is_found_where_it_stands(value, indent):
    text = json.dumps(value, indent=indent)

    def walk(item, path):
        place = locate(text, path)
        rest = text.split("\n")[place.line - 1 :]
        remainder = "\n".join([rest[0][place.column - 1 :], *rest[1:]])
        assert json.JSONDecoder().raw_decode(remainder)[0] == item
        members = (
            item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        )
        for key, member in members:
            walk(member, (*path, key))

    walk(value, ())
