from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from nam_like.config.base import Bool, Config, Float, Int, PositiveInt, Str
from nam_like.config.component import Component, Of
from nam_like.config.errors import ConfigError, Problem, dotted
from nam_like.config.phrases import phrased


class Layer(Config):
    channels: PositiveInt
    kernel_size: PositiveInt | list[PositiveInt] = 3
    activation: Str = Field("Tanh", alias="nonlinearity")


class Everything(Config):
    layers: list[Layer] = Field([], max_length=3)
    mode: Literal["min", "max"] = "min"
    ratio: Annotated[Float, Field(gt=0, le=1)] = 1.0
    count: Int = 1
    on: Bool = True
    names: dict[str, Str] = Field(default_factory=dict)
    either: Layer | list[Layer] | None = None
    optimizer: Annotated[Component | None, Of("optimizer", optional=True)] = None


def problems(value):
    with pytest.raises(ValidationError) as raised:
        Everything.model_validate(value)
    return {dotted(loc): message for loc, message, _ in phrased(raised.value, value)}


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ({"layers": [{}]}, "layers[0].channels", "expected the key 'channels', but got an empty object"),
        ({"layers": {}}, "layers", "expected a list, but got an empty object"),
        ({"layers": [3]}, "layers[0]", "expected an object, but got 3"),
        ({"layers": [{"channels": 0}]}, "layers[0].channels", "expected more than 0, but got 0"),
        ({"layers": [{"channels": True}]}, "layers[0].channels", "expected an integer, but got true"),
        ({"layers": [{"channels": 2.5}]}, "layers[0].channels", "expected an integer, but got 2.5"),
        ({"layers": [{"channels": 1}] * 4}, "layers", "expected at most 3 members, but got a list of 4"),
        ({"mode": "mni"}, "mode", "expected 'min' or 'max', but got the string \"mni\""),
        ({"ratio": 2}, "ratio", "expected at most 1, but got 2"),
        ({"ratio": "1"}, "ratio", 'expected a number, but got the string "1"'),
        ({"ratio": float("nan")}, "ratio", "expected a finite number, but got nan"),
        ({"count": float("inf")}, "count", "expected an integer, but got inf"),
        ({"on": 1}, "on", "expected true or false, but got 1"),
        ({"names": {"a": 1}}, "names.a", "expected a string, but got 1"),
        ({"names": []}, "names", "expected an object, but got an empty list"),
        ({"cuont": 1}, "cuont", "expected a known key, but got 'cuont'; did you mean 'count'?"),
        (
            {"layers": [{"channels": 1, "nonlinarity": "Tanh"}]},
            "layers[0].nonlinarity",
            "expected a known key, but got 'nonlinarity'; did you mean 'nonlinearity'?",
        ),
        (
            {"qqq": 1},
            "qqq",
            "expected one of the keys layers, mode, ratio, count, on, names, either, optimizer, but got",
        ),
        (
            {"optimizer": {"name": "Adam", "config": {"lr": "x"}}},
            "optimizer.config.lr",
            "expected a number, but got",
        ),
    ],
)
def test_messages(value, path, message):
    found = problems(value)
    assert list(found) == [path]
    assert found[path].startswith(message)


def test_a_misspelt_required_key_is_one_mistake():
    assert problems({"layers": [{"chanels": 3}]}) == {
        "layers[0].chanels": "expected a known key, but got 'chanels'; did you mean 'channels'?"
    }


def test_unions_leave_no_trace_in_paths():
    assert problems({"layers": [{"channels": 1, "kernel_size": "3"}]}) == {
        "layers[0].kernel_size": 'expected an integer or a list, but got the string "3"'
    }
    assert problems({"layers": [{"channels": 1, "kernel_size": [3, "x"]}]}) == {
        "layers[0].kernel_size[1]": 'expected an integer, but got the string "x"'
    }
    assert problems({"either": [{"channels": 1}, {"channels": 0}]}) == {
        "either[1].channels": "expected more than 0, but got 0"
    }
    assert problems({"either": 3}) == {"either": "expected an object or a list, but got 3"}


def test_all_problems_are_found_at_once():
    assert len(problems({"layers": [{"channels": 0}, {}], "mode": 1, "ratio": -1, "zzzz": 0})) == 5


def test_dotted():
    assert dotted(("net", "layers", 1, 0, "channels")) == "net.layers[1][0].channels"
    assert dotted(("terms", "a.b", "$schema")) == 'terms["a.b"].$schema'
    assert dotted(()) == ""


def test_render():
    first = Problem("model.json", 7, 11, "net.name", "expected a, but got b", '\t"name":  "WaveNte"', 9)
    error = ConfigError(
        [
            first,
            Problem("model.json", 2, 1, "", "expected c, but got d", "}"),
            Problem("--set model.x=1", 0, 0, "x", "expected e, but got f"),
            first,
        ]
    )
    assert error.render() == (
        "model.json:2:1  expected c, but got d\n"
        "    }\n"
        "    ^\n"
        "model.json:7:11  net.name — expected a, but got b\n"
        '    \t"name":  "WaveNte"\n'
        "    \t         ^~~~~~~~~\n"
        "--set model.x=1  x — expected e, but got f\n"
        "3 errors in 2 files"
    )
    assert str(error) == error.render()
    assert "\033[" in error.render(color=True)
    assert ConfigError([first]).render().endswith("\n1 error")


def test_the_caret_stays_under_its_value_in_long_lines():
    line = "x" * 500 + "HERE" + "y" * 500
    shown = Problem("f", 1, 501, "", "m", line, 4).render().split("\n")
    at = shown[1].index("HERE")
    assert shown[2][at : at + 4] == "^~~~"
    assert len(shown[1]) < 200
