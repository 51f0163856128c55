"""Signatures read from source against those of the imported objects."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nam_like.config import source
from nam_like.config.signature import config_from_callable

ROOT = Path(__file__).parents[2]

PACKAGE = {
    "__init__.py": "from .things import Thing as Renamed\nfrom some_package.functions import outer\n",
    "things.py": (
        "import os\n"
        "import numpy as np\n"
        "from typing import Any, Literal, Optional, Union\n"
        "from some_package.types import CHOICE\n"
        "if True:\n"
        "    from collections.abc import Mapping\n"
        "\n"
        'TEXT = """\n'
        "def not_this(x: int): ...\n"
        '"""\n'
        "@decorated\n"
        "class Thing:\n"
        '    """What it is.\n'
        "\n"
        "def nor_this(): ...\n"
        '    """\n'
        "    @decorated\n"
        "    def __init__(\n"
        "        self, a: int, b: Optional[Union[int, str]] = None, *, c: 'float' = 1.5,\n"
        "        d: np.ndarray = None, e: CHOICE = 'x', f: Mapping[str, Any] = {}, g: int | None = None,\n"
        "        h: Thing = os.sep, **rest: Any\n"
        "    ) -> None:\n"
        "        pass\n"
        "    def method(self, q: bool = False): pass\n"
    ),
    "types.py": "from typing import *\nfrom typing import Literal, Union\n"
    "_N = Literal[1, 2]\nCHOICE = Union[_N, Literal['x', 'y']]\n",
    "functions.py": "def outer(path: 'str', unknown: Nothing = 1, /, *more: int): pass\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "some_package"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(source, "PACKAGES", ("some_package",))
    for function in (source.read_callable, source._source):
        function.cache_clear()
    yield
    for function in (source.read_callable, source._source):
        function.cache_clear()


def test_a_class_is_read_through_imports_aliases_and_conditions(package):
    read = source.read_callable("some_package:Renamed")
    assert read.__name__ == "Thing"
    parameters = inspect.signature(read).parameters
    assert list(parameters) == ["self", "a", "b", "c", "d", "e", "f", "g", "h", "rest"]
    assert (parameters["b"].default, parameters["c"].default, parameters["a"].default) == (
        None,
        1.5,
        inspect.Parameter.empty,
    )
    properties = config_from_callable(read).model_json_schema()["properties"]
    assert properties["b"]["type"] == ["integer", "null", "string"]
    assert properties["c"]["type"] == "number"
    assert "type" not in properties["d"]
    assert properties["e"]["enum"] == [1, 2, "x", "y"]
    assert properties["f"]["type"] == "object"
    assert properties["g"]["type"] == ["integer", "null"]
    assert "type" not in properties["h"]
    assert "some_package" not in sys.modules


def test_methods_and_functions_are_read(package):
    method = source.read_callable("some_package:Renamed.method")
    assert list(inspect.signature(method).parameters) == ["self", "q"]
    outer = source.read_callable("some_package:outer")
    assert outer.__annotations__ == {"path": str}  # what cannot be told is left out
    assert [p.kind.name for p in inspect.signature(outer).parameters.values()] == [
        "POSITIONAL_ONLY",
        "POSITIONAL_ONLY",
        "VAR_POSITIONAL",
    ]
    with pytest.raises(NotImplementedError, match="outer"):
        outer()


@pytest.mark.parametrize(
    "target",
    [
        "some_package:Missing",
        "some_package.nowhere:X",
        "some_package:Renamed.nothing",
        "json:loads",
        "some_package",
    ],
)
def test_what_cannot_be_read_is_left_to_the_import(package, target):
    assert source.read_callable(target) is None


COMPARE = """
import json, sys
from nam_like.config import learning
from nam_like.config.signature import config_from_callable
from nam_like.config.source import read_callable
from nam_like.imports import import_path
targets = {a.target: (a.supplied, a.bounds, a.base) for a in (learning._TRAINER, learning._FIT)}
names = ("EarlyStopping", "LearningRateMonitor", "StochasticWeightAveraging", "ModelCheckpoint", "Timer")
targets |= {f"pytorch_lightning.callbacks:{name}": () for name in names}
read = {target: config_from_callable(read_callable(target), *rest) for target, rest in targets.items()}
assert "pytorch_lightning" not in sys.modules and "torch" not in sys.modules
def properties(model):
    found = model.model_json_schema()["properties"]
    return {name: {k: v for k, v in entry.items() if k != "default"} for name, entry in found.items()}
for target, rest in targets.items():
    ours, theirs = properties(read[target]), properties(config_from_callable(import_path(target), *rest))
    assert ours == theirs, (target, ours, theirs)
assert read_callable("pytorch_lightning:LightningModule") is None  # imported by now
print(len(properties(read["pytorch_lightning:Trainer"])))
"""


def test_lightnings_signatures_are_those_of_the_import():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", COMPARE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 30
