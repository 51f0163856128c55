from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from nam_like.config.base import Config, PositiveFloat, PositiveInt
from nam_like.config.component import Component, Of, Several, component
from nam_like.registry import LOSSES, OPTIMIZERS


class Sibling(Config):
    weight: PositiveFloat = 1.0


class ThingConfig(Config):
    size: PositiveInt = 1

    def build(self, *args, **context):
        return Thing(self.size, *args, **context)


class Thing:
    def __init__(self, size, *args, **context):
        self.size, self.args, self.context = size, args, context


@pytest.fixture(autouse=True)
def _things():
    LOSSES.register("Thing", Thing, config=ThingConfig)
    LOSSES.register("raw", dict, takes_dict=True)
    yield
    LOSSES.unregister("Thing")
    LOSSES.unregister("raw")


@pytest.mark.parametrize(
    "spelling",
    [
        {"name": "Thing", "config": {"size": 3}},
        {"name": "Thing", "kwargs": {"size": 3}},
        {"name": "Thing", "args": {"size": 3}},
        {"class": "Thing", "kwargs": {"size": 3}},
        {"path": "Thing", "args": {"size": 3}},
        {"type": "Thing", "config": {"size": 3}},
        {"_target_": "Thing", "size": 3},
        {"class_path": "Thing", "init_args": {"size": 3}},
        {"name": "Thing", "config": {"size": 3, "_why": "a note"}, "_notes": ["another"]},
    ],
)
def test_spellings(spelling):
    made = component("loss", spelling)
    assert made.canonical() == {"name": "Thing", "config": {"size": 3}}
    assert made.build().size == 3
    assert component("loss", made.canonical()) == made


def test_bare_name_and_null_config():
    assert component("loss", "Thing").build().size == 1
    assert component("loss", {"name": "Thing", "config": None}).build().size == 1
    assert component("loss", {"class": "Thing"}).build().size == 1


def test_flat_default_and_siblings():
    read = Of("loss", siblings=Sibling, flat=True, default="Thing").validate
    assert read({"size": 2, "weight": 3}).canonical() == {
        "name": "Thing",
        "config": {"size": 2},
        "weight": 3.0,
    }
    assert read({"name": "Thing", "size": 2}).config.size == 2
    assert read({"config": {"size": 2}}).config.size == 2
    assert read({}).config.size == 1
    assert Of("loss", siblings=Sibling).validate("Thing").siblings.weight == 1.0


def test_initializers_get_the_raw_dict():
    made = component("loss", {"name": "raw", "config": {"anything": [1]}})
    assert made.build() == {"anything": [1]}
    assert made.canonical() == {"name": "raw", "config": {"anything": [1]}}


def test_third_party_classes_by_import_path():
    made = component("loss", {"name": "torch.nn.L1Loss", "config": {"reduction": "sum"}})
    assert made.build().reduction == "sum"
    assert component("loss", "torch.nn:L1Loss").name == "torch.nn:L1Loss"


@pytest.mark.parametrize(
    ("value", "loc", "message"),
    [
        ({"name": "Thin"}, ("name",), "unknown loss 'Thin'; did you mean 'Thing'?"),
        ("Thin", (), "unknown loss 'Thin'"),
        ({"class": "Thing", "path": "Thing"}, ("path",), "expected one key that names the loss"),
        ({"name": "Thing", "kwargs": {}, "config": {}}, ("kwargs",), "expected one of the keys"),
        ({"name": "Thing", "size": 3}, ("size",), "expected only the keys config, name, but got 'size'"),
        ({"name": "Thing", "confg": {}}, ("confg",), "did you mean 'config'?"),
        ({"nmae": "Thing"}, (), "did you mean 'name'?"),
        ({"name": 3}, ("name",), "expected a name, but got 3"),
        ({"name": "Thing", "config": {"sze": 3}}, ("config", "sze"), "did you mean 'size'?"),
        (
            {"name": "Thing", "config": {"size": True}},
            ("config", "size"),
            "expected an integer, but got true",
        ),
        ({"_target_": "Thing", "sze": 3}, ("sze",), "did you mean 'size'?"),
        ({"class_path": "Thing", "init_args": {"size": 0}}, ("init_args", "size"), "greater than 0"),
        ({"name": "Thing", "config": [1]}, ("config",), "Input should be"),
        ({"name": "raw", "config": 3}, ("config",), "expected an object, but got 3"),
        (3, (), 'expected a loss: its name, or {"name": …, "config": {…}}, but got 3'),
        (None, (), "expected a loss"),
        ({"name": "no_such_module.X"}, ("name",), "there is no module 'no_such_module'"),
        ({"name": "torch.nn.L1Los"}, ("name",), "module 'torch.nn' has no 'L1Los'; did you mean 'L1Loss'?"),
        ({"name": "torch.nn.functional"}, ("name",), "to be a class or function, but got module"),
        ({"name": "Thing..x"}, ("name",), "expected an import path"),
    ],
)
def test_errors_are_validation_errors_with_a_path(value, loc, message):
    with pytest.raises(ValidationError) as raised:
        component("loss", value)
    (error,) = raised.value.errors()
    assert error["loc"] == loc
    assert message in error["msg"]


def test_sibling_and_config_errors_come_together():
    with pytest.raises(ValidationError) as raised:
        Of("loss", siblings=Sibling).validate({"name": "Thing", "weight": 0, "config": {"size": 0}})
    assert {error["loc"] for error in raised.value.errors()} == {("weight",), ("config", "size")}


def test_supplied_arguments_and_bounds():
    with pytest.raises(ValidationError) as raised:
        component("optimizer", {"name": "Adam", "config": {"params": [], "lr": 0}})
    texts = {error["loc"][-1]: error["msg"] for error in raised.value.errors()}
    assert texts["params"] == "expected no `params`, which the run supplies itself, but got an empty list"
    assert texts["lr"] == "expected more than 0, but got 0"
    assert OPTIMIZERS.supplied == {"params"}


def test_several():
    read = Several(Of("loss", flat=True)).validate
    assert [item.name for item in read("Thing")] == ["Thing"]
    assert [item.config.size for item in read([{"name": "Thing", "size": 2}, "Thing"])] == [2, 1]
    with pytest.raises(ValidationError) as raised:
        read(["Thing", "Thin", {"name": "Thing", "size": 0}])
    assert [error["loc"] for error in raised.value.errors()] == [(1,), (2, "size")]
    assert Several(Of("loss"), or_bool=True).validate(False) is False
    assert read(None) is None
    with pytest.raises(ValidationError):
        read(True)


def test_inside_models():
    class Holder(Config):
        one: Annotated[Component, Of("loss")]
        more: list[Annotated[Component, Of("loss")]] = Field(default_factory=list)
        maybe: Annotated[Component | None, Of("loss", optional=True)] = None

    held = Holder.model_validate({"one": "Thing", "more": [{"class": "Thing", "kwargs": {"size": 2}}]})
    assert held.model_dump() == {
        "one": {"name": "Thing", "config": {}},
        "more": [{"name": "Thing", "config": {"size": 2}}],
        "maybe": None,
    }
    with pytest.raises(ValidationError) as raised:
        Holder.model_validate({"one": "Thing", "more": ["Thing", {"class": "Thing", "kwargs": {"size": 0}}]})
    assert [error["loc"] for error in raised.value.errors()] == [("more", 1, "kwargs", "size")]
