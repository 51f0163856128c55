"""Blocks, overrides and interpolations."""

import pytest

from nam_like.config.nemo.tree import reference, resolved
from nam_like.errors import UserError
from tests.config.nemo.conftest import Convert, Refuse, jsons

TREE = {
    "name": "x",
    "model": {"rate": 16000, "also": "${model.rate}", "list": [1, {"b": 2}], "inner": {"c": "${.d}", "d": 4}},
}


@pytest.mark.parametrize(
    ("text", "at", "value"),
    [
        ("${model.rate}", ("a",), 16000),
        ("${ model.also }", ("a",), 16000),
        ("${model.list[1].b}", ("a",), 2),
        ("${model.inner}", ("a",), {"c": 4, "d": 4}),
        ("${..rate}", ("model", "inner", "e"), 16000),
        ("out/${name}_${model.rate}", ("a",), "out/x_16000"),
        ("no reference $ here", ("a",), "no reference $ here"),
    ],
)
def test_references_are_followed(text, at, value):
    assert resolved(TREE, text, at) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "${model.raet}",
            "expected a key of model in '\\${model.raet}', but got 'raet'; did you mean 'rate'",
        ),
        ("${modl.rate}", "expected a key of the file.*did you mean 'model'"),
        ("${oc.env:HOME}", "expected a path of this file in .*'oc.env:HOME'; --set a="),
        ("${}", "expected a path"),
        ("${model.list[7]}", "but got '7'"),
        ("${a", "with a path inside"),
        ("${model.${name}}", "with a path inside|no path|a key of"),
    ],
)
def test_references_that_lead_nowhere(text, message):
    with pytest.raises(UserError, match=message):
        resolved(TREE, text, ("a",))


def test_circles():
    tree = {"a": "${b}", "b": {"c": "${a}"}}
    with pytest.raises(UserError, match="circle"):
        resolved(tree, "${a}", ("x",))


def test_only_whole_values_are_references():
    assert reference("${model.a}", ("x",)) == ("model", "a")
    assert reference("${train_ds.a}", ("x",)) == ("model", "train_ds", "a")
    assert reference("x${model.a}", ("x",)) is None
    assert reference(3, ("x",)) is None


def test_a_bad_reference_is_told_with_its_place(refused: Refuse):
    (problem,) = refused("model:\n  sample_rate: 16000\n  num_outputs: ${model.sample_raet}\n")
    assert (problem.line, problem.path) == (3, "model.num_outputs")
    assert "did you mean 'sample_rate'" in problem.message


@pytest.mark.parametrize(
    "path",
    ["model.train_ds.manifest_filepath", "train_ds.manifest_filepath", "+model.train_ds.manifest_filepath"],
)
def test_overrides_of_whole_files_and_blocks(converted: Convert, path: str):
    for content in ({"model": {"train_ds": {"manifest_filepath": "???"}}}, {"train_ds": {}}):
        result = converted(content, f"{path}=a b.json")
        assert jsons(result)["data"]["train"]["manifest_filepath"] == "a b.json"


def test_overrides_have_the_values_of_yaml_and_make_objects(converted: Convert):
    result = converted(
        {"model": {"optim": {"lr": 1.0}}},
        "model.optim.lr=1e-3",
        "model.optim.betas=[0.5, 0.9]",
        "trainer.max_epochs=3",
        "++exp_manager.ema.enable=true",
    )
    files = jsons(result)
    assert files["model"]["optimizer"]["config"] == {"lr": 1e-3, "betas": [0.5, 0.9]}
    assert files["learning"]["trainer"] == {"max_epochs": 3}
    assert files["learning"]["ema"] == {"decay": 0.999}


def test_overrides_remove(converted: Convert):
    result = converted({"model": {"optim": {"lr": 1.0, "sched": {"name": "StepLR"}}}}, "~model.optim.sched")
    assert "lr_scheduler" not in jsons(result)["model"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.optim.lr", "path=value"),
        ("=3", "path=value"),
        ("~model.optim.mu", "no model.optim.mu"),
        ("~model.optm.lr", "no model.optm"),
        ("model.optim.lr.x=3", "no model.optim.lr"),
        ("model.list[3]=3", "no model.list"),
        ("model.optim.lr=[1", "expected YAML"),
    ],
)
def test_overrides_that_cannot_be(refused: Refuse, override: str, message: str):
    (problem,) = refused({"model": {"optim": {"lr": 1.0}, "list": [1]}}, override)
    assert message in problem.message
    assert problem.file.startswith("--set")


def test_a_mistake_of_an_override_is_told_as_one(refused: Refuse):
    (problem,) = refused({"model": {"optim": {"lr": 1.0}}}, "model.optim.name=adm")
    assert problem.file == "--set model.optim.name=adm"
    assert "did you mean 'adam'" in problem.message
