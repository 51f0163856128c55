"""Modules that are put in place unexecuted: tried out with small packages of our own, and with Lightning."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nam_like.deferred import attach, calling, class_of, constant, defer, exempting, telling, withdraw

ROOT = Path(__file__).parents[1]
ANSWERS = {
    "Thing": class_of,
    "exempt": exempting,
    "tell": telling,
    "late": calling,
    "size": constant(lambda: 7),
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that counts how often it and its submodules are executed."""
    folder = tmp_path / "slow_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from slow_package import inner\n"
        "inner.executed.append('package')\n"
        "size = 8\n"
        "class Thing:\n    kind = 'real'\n    def __init__(self, value=1):\n        self.value = value\n"
        "def exempt(function, mark='exempted'):\n"
        "    def call(*args):\n        return (mark, function(*args))\n    return call\n"
        "def tell(what):\n    inner.executed.append(what)\n    return what\n"
        "def late(x):\n    return 2 * x\n"
    )
    (folder / "inner.py").write_text("executed = ['inner']\n")
    (folder / "apart.py").write_text("import slow_package\nvalue = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    before = set(sys.modules)
    yield "slow_package"
    for name in set(sys.modules) - before:
        if name.startswith("slow_package"):
            del sys.modules[name]


def was_executed():
    return "slow_package.inner" in sys.modules


def test_what_is_asked_about_is_answered_without_executing(package):
    assert defer(package, ANSWERS)
    from slow_package import Thing, exempt, late, size, tell

    call = exempt(lambda x: x + 1)
    assert (size, call(1), tell("nothing")) == (7, 2, None)
    assert not isinstance(3, Thing)
    assert issubclass(Thing, Thing)
    assert not was_executed()
    assert late(4) == 8  # it has to run for this
    assert was_executed()
    assert call(1) == ("exempted", 2)
    assert tell("something") == "something"


def test_whatever_else_is_asked_for_executes_it_in_place_and_once(package):
    defer(package, {"Thing": class_of})
    from slow_package import Thing as Standin

    module = sys.modules[package]
    assert module.size == 8
    assert sys.modules[package] is module
    assert type(module) is type(sys)
    inner = importlib.import_module("slow_package.inner")
    assert inner.executed == ["inner", "package"]
    thing = module.Thing(5)
    assert isinstance(thing, Standin)
    assert issubclass(module.Thing, Standin)
    assert (Standin(6).value, Standin.kind) == (6, "real")


def test_a_subclass_of_a_stand_in_is_one_of_the_class(package):
    defer(package, {"Thing": class_of})
    from slow_package import Thing

    class Special(Thing):
        pass

    real = sys.modules[package].Thing
    assert Special.__mro__[1] is real
    assert Special(9).value == 9


def test_importing_a_submodule_executes_the_package_first(package):
    defer(package, {})
    inner = importlib.import_module("slow_package.inner")
    assert inner.executed == ["inner", "package"]
    assert sys.modules[package].inner is inner


def test_a_submodule_apart_does_not(package):
    defer(package, {}, apart=["slow_package.apart"])
    assert importlib.import_module("slow_package.apart").value == 3
    assert not was_executed()
    assert sys.modules[package].size == 8


def test_a_deferred_submodule_does_not_execute_its_package(package):
    defer(package, {}, apart=["slow_package.apart"])
    assert defer("slow_package.apart", {})
    attach()
    assert sys.modules[package].apart is sys.modules["slow_package.apart"]
    assert not was_executed()
    assert sys.modules[package].apart.value == 3


def test_names_that_it_has_not_are_missing(package):
    defer(package, {"Thing": class_of})
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = sys.modules[package].nothing_like_it


def test_a_module_that_fails_does_so_when_it_is_executed_and_can_be_tried_again(package, tmp_path):
    source = tmp_path / package / "broken.py"
    source.write_text("raise RuntimeError('broken')")
    importlib.import_module(package)
    assert defer("slow_package.broken", {})
    with pytest.raises(RuntimeError, match="broken"):
        _ = sys.modules["slow_package.broken"].value
    assert "slow_package.broken" not in sys.modules


def test_what_was_imported_or_is_not_there_is_left_alone():
    assert not defer("json", {})
    assert not defer("there_is_no_such_module", {})
    assert not defer("there_is_no_such_package.module", {})


LIGHTNING = """
import sys
from nam_like.lightning import import_lightning
import_lightning()
heavy = ("sympy", "scipy.signal", "matplotlib", "torch._dynamo.convert_frame", "tensorboard", "triton")
print([name for name in heavy if name in sys.modules])
import torch
from pytorch_lightning.utilities.types import Metric
from pytorch_lightning.utilities.compile import OptimizedModule
from pytorch_lightning.core import module
net = torch.nn.Linear(1, 1)
optimizer = torch.optim.Adam(net.parameters())
net(torch.ones(1)).sum().backward()
optimizer.step(); optimizer.zero_grad()
print("torch._dynamo.convert_frame" in sys.modules, isinstance(net, OptimizedModule))
compiled = torch.compile(net, backend="eager")
same = float(compiled(torch.ones(1))) == float(net(torch.ones(1)))
print(type(compiled).__name__, isinstance(compiled, OptimizedModule), same)
optimizer.step()
import torchmetrics
collection = torchmetrics.MetricCollection([])
metric = torchmetrics.MeanSquaredError()
known = isinstance(collection, module.MetricCollection)
print(isinstance(metric, Metric), torchmetrics.Metric is Metric, known)
import torchmetrics.utilities.plot
print(torchmetrics.utilities.plot._PLOT_OUT_TYPE is not None)
"""


@pytest.mark.parametrize("variable", ["", "off"])
def test_lightning_works_with_and_without(variable):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NAM_LIKE_DEFERRED_IMPORTS": variable}
    command = [sys.executable, "-W", "ignore", "-c", LIGHTNING]
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    heavy = [] if not variable else ["sympy", "scipy.signal", "matplotlib", "torch._dynamo.convert_frame"]
    assert [name for name in heavy if name in lines[0]] == heavy
    assert variable or lines[0] == "[]"
    assert lines[1:5] == [f"{bool(variable)} False", "OptimizedModule True True", "True True True", "True"]


def test_what_was_deferred_can_be_withdrawn(package):
    defer(package, {"size": constant(lambda: 7)})
    assert sys.modules[package].size == 7
    withdraw()
    assert package not in sys.modules
    assert importlib.import_module(package).size == 8


def test_a_version_that_cannot_be_imported_so_is_imported_in_full():
    script = """
import nam_like.lightning as lightning, sys
lightning.class_of = lambda module, name: 1 / 0
lightning.import_lightning()
import pytorch_lightning, torch._dynamo, torchmetrics
print(pytorch_lightning.Trainer.__name__, "sympy" in sys.modules, torchmetrics.R2Score.__name__)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Trainer", "True", "R2Score"]
