import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nam_like.config import jsonc

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["// no comment", "/* nor this */", "http://x/y", 'a "quoted" \\ one', "x,]", "NaN"]),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
GAPS = st.sampled_from(
    ["", " ", "\n", "\t", "// c\n", "/* c */", '/* "a": 1, \n ] */', '// "x"\n', "/***/", "//\n"]
)


def dump(value, draw):
    """Write JSON with random gaps between all tokens, and trailing commas."""

    def gap():
        return draw(GAPS)

    if isinstance(value, dict):
        members = [
            f"{gap()}{json.dumps(key)}{gap()}:{gap()}{dump(item, draw)}{gap()}" for key, item in value.items()
        ]
        inner, marks = ",".join(members), "{}"
    elif isinstance(value, list):
        inner, marks = ",".join(f"{gap()}{dump(item, draw)}{gap()}" for item in value), "[]"
    else:
        return json.dumps(value)
    trailing = f",{gap()}" if inner and draw(st.booleans()) else ""
    return marks[0] + inner + trailing + gap() + marks[1]


@given(VALUES, st.data())
def test_reads_what_json_reads_with_comments_and_trailing_commas(value, data):
    text = data.draw(GAPS) + dump(value, data.draw) + data.draw(GAPS)
    assert jsonc.loads(text) == json.loads(json.dumps(value))
    assert jsonc.loads(jsonc.decode(b"\xef\xbb\xbf" + text.replace("\r\n", "\n").encode())) == value


@given(VALUES)
def test_blanking_leaves_plain_json_alone(value):
    for indent in (None, 2):
        text = json.dumps(value, indent=indent)
        assert jsonc.blank(text) == text


@given(st.text(max_size=30) | st.text('{}[]:,"\\/*a1 \nNaN.e-+', max_size=30))
def test_any_text_gives_a_value_or_a_placed_error(text):
    error = None
    try:
        value = jsonc.loads(text)
    except jsonc.JsonError as raised:
        error = raised
    if error is None:
        assert json.loads(jsonc.blank(text)) == value
        return
    line, column = jsonc.line_column(text, error.position)
    assert 1 <= line <= text.count("\n") + 1
    assert 1 <= column <= len(text.split("\n")[line - 1]) + 1
    assert error.message.startswith("expected ")
    assert ", but got " in error.message


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "expected a JSON object, but got an empty file"),
        ("  // only a comment\n", (1, 1), "expected a JSON object, but got an empty file"),
        (
            '{\n "a": 1,\n "b": 2,\n "a": 3\n}',
            (4, 2),
            "expected each key once, but got 'a' again (first in line 2)",
        ),
        ('{"a": {"b": 1, "c": [{"b": 1}], "\\u0062": 2}}', (1, 33), "expected each key once, but got 'b'"),
        ('{"a": "NaN",\n "b": NaN}', (2, 7), "expected a finite number, but got NaN"),
        ("[1, -Infinity]", (1, 5), "expected a finite number, but got -Infinity"),
        ('["1e999", 1e999]', (1, 11), "expected a finite number, but got 1e999"),
        ('{"a": [1, 2', (1, 12), "but got the end of the file"),
        ('{"a": 1}\n\n', None, ""),
        ('{"a":\n\n', (1, 6), "expected a value, but got the end of the file"),
        ("[,]", (1, 2), "expected a value, but got ','"),
        ("[1,,]", (1, 4), "expected a value, but got ','"),
        ("{,}", (1, 2), "expected a key in double quotes"),
        ('{"a" 1}', (1, 6), "expected ':' after the key, but got '1'"),
        ('{"a": 1 "b": 2}', (1, 9), "expected ','"),
        ('{"a": "b\n"}', (1, 9), "expected a closing"),
        ('{"a": 1} /* oh', (1, 10), "expected '*/' to end the comment, but got the end of the file"),
        ("{'a': 1}", (1, 2), "expected a key in double quotes"),
        ('{"a": tru}', (1, 7), "expected a value, but got 'tru'"),
        ("{} {}", (1, 4), "expected the end of the file, but got '{'"),
        ('{"a": "\\ud800"}', (1, 7), "half a surrogate pair"),
        ("[" * 101 + "]" * 101, (1, 101), "expected at most 100 levels of nesting"),
        ("[" * 100_000, (1, 101), "expected at most 100 levels of nesting"),
        ("9" * 5000, (1, 1), "expected a finite number"),
    ],
)
def test_errors_are_placed(text, place, message):
    if place is None:
        assert jsonc.loads(text) == {"a": 1}
        return
    with pytest.raises(jsonc.JsonError) as raised:
        jsonc.loads(text)
    assert jsonc.line_column(text, raised.value.position) == place
    assert message in raised.value.message
    assert str(raised.value).startswith(f"{place[0]}:{place[1]}  ")


def test_not_utf8():
    with pytest.raises(jsonc.JsonError, match="2:6  expected text in UTF-8, but got the byte 0xe9"):
        jsonc.decode(b'{"\xc3\xa9": 1,\n "caf\xe9": 2}')
    with pytest.raises(jsonc.JsonError, match="UTF-16"):
        jsonc.decode('{"a": 1}'.encode("utf-16"))


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match=r"expected a JSON file, but there is no file '.*none\.json'"):
        jsonc.read_text(tmp_path / "none.json")
    with pytest.raises(ValueError, match="cannot read"):
        jsonc.read_text(tmp_path)
