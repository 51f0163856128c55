"""Reading the YAML itself: numbers, places, and what is refused."""

import builtins
import sys
from pathlib import Path

import pytest

from nam_like.config.errors import ConfigError
from nam_like.config.nemo.source import Source, parse_value, read_source
from nam_like.errors import UserError


def read(tmp_path: Path, text: str) -> Source:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    return read_source(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E4", 1e4),
        ("-2.5e+3", -2500.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("0.0", 0.0),
        ("1_000", 1000),
        ("-7", -7),
        ("0x1F", 31),
        ("010", "010"),
        ("1:30", "1:30"),
        ("2024-01-02", "2024-01-02"),
        ('"1e-4"', "1e-4"),
        ("'12'", "12"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("???", "???"),
        ("${model.sample_rate}", "${model.sample_rate}"),
        ("[1, 1e-3, x]", [1, 1e-3, "x"]),
        ("1e", "1e"),
        ("e4", "e4"),
    ],
)
def test_scalars(text, value):
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_value_has_its_place(tmp_path):
    source = read(tmp_path, "model:\n  # a comment\n  optim:\n    lr: 1e-4\n    betas: [0.9, 0.999]\n")
    problem = source.problem(("model", "optim", "betas", 1), "expected less")
    assert (problem.line, problem.column, problem.span) == (5, 18, 5)
    assert problem.path == "model.optim.betas[1]"
    key = source.problem(("model", "optim", "lr"), "expected more", key=True)
    assert (key.line, key.column, key.span) == (4, 5, 2)
    # What is missing is placed at what is around it.
    assert source.problem(("model", "optim", "name"), "expected one").line == 4


def test_anchors_and_merge_keys(tmp_path):
    text = "base: &base {a: 1, b: 2}\nmore: &more\n  c: 3\nboth:\n  <<: [*base, *more]\n  b: 5\nsame: *base\n"
    tree = read(tmp_path, text).tree
    assert tree["both"] == {"a": 1, "b": 5, "c": 3}
    assert tree["same"] == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "expected one 'a' here, but got two"),
        ("a: [1, 2\n", "expected YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "tag|construct"),
        ("a: !mine 3\n", "tagged !mine"),
        ("a: .inf\n", "expected a finite number, but got .inf"),
        ("a: -.INF\n", "expected a finite number"),
        ("a: .nan\n", "expected a finite number"),
        ("a: 1e999\n", "expected a finite number, but got 1e999"),
        ("a: !!float x\n", "expected a finite number"),
        ("a: !!binary aGk=\n", "tagged"),
        ("1: a\n", "expected a string as key"),
        ("[a]: b\n", "expected a string as key"),
        ("a: &a [*a]\n", "without end"),
        ("", "with keys"),
        ("- 1\n", "with keys"),
        ("just text\n", "with keys"),
        ("a: 1\n---\nb: 2\n", "expected YAML"),
    ],
)
def test_what_is_no_config(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_values_that_multiply_are_refused(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="without end"):
        read(tmp_path, "\n".join(lines))


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match=r"no file '.*gone\.yaml'"):
        read_source(tmp_path / "gone.yaml")


def test_without_pyyaml_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UserError, match=r"pip install 'nam_like\[speech\]'"):
        read(tmp_path, "a: 1\n")


def test_nothing_is_opened_but_the_file(tmp_path, monkeypatch):
    (tmp_path / "a.yaml").write_text("a: !!python/name:os.system\n")
    opened = []
    monkeypatch.setattr(builtins, "eval", lambda *args: opened.append(args))
    with pytest.raises(ConfigError):
        read_source(tmp_path / "a.yaml")
    assert not opened
