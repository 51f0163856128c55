import copy
import json
from pathlib import Path

import jsonschema
import pytest

from nam_like.config import jsonc
from nam_like.config.schema import generated_with, schema_text, schemas, write_schemas

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = ("data", "model", "learning")
A1 = {
    "net": {
        "name": "LSTM",
        "config": {"hidden_size": 8, "_why": "small"},
    },
    "optimizer": {"lr": 0.004},
    "lr_scheduler": {"name": "ExponentialLR", "config": {"gamma": 0.993}, "interval": "epoch"},
    "loss": {
        "terms": {"mse": {"name": "MSE", "weight": 1.0, "config": {"pre_emphasis": 0.85}}},
        "val_loss": "esr",
    },
}
DATA = {
    "$schema": "x",
    "_notes": [],
    "train": [{"ny": 8192}],
    "validation": {"type": "paired", "ny": None},
    "common": {"x_path": "x.wav", "y_path": "y.wav"},
    "joint": ["normalize_output"],
}
LEARNING = {
    "train_dataloader": {"batch_size": 16},
    "trainer": {"max_epochs": 3, "callbacks": ["LearningRateMonitor"], "logger": False},
    "callbacks": [{"name": "EarlyStopping", "config": {"monitor": "ESR"}}],
    "export": ["torchscript", {"name": "nam", "config": {}}],
}
EXAMPLES = {"data": DATA, "model": A1, "learning": LEARNING}


@pytest.fixture(scope="module")
def generated():
    assert "FakeNet" not in schema_text(schemas()["model"])
    assert "FakeNet" in schema_text(schemas(extensions=True)["model"])
    return schemas()


@pytest.fixture(scope="module")
def validators(generated):
    for schema in generated.values():
        jsonschema.Draft7Validator.check_schema(schema)
    return {name: jsonschema.Draft7Validator(schema) for name, schema in generated.items()}


@pytest.mark.parametrize("name", NAMES)
def test_valid_examples(validators, name):
    validators[name].validate(EXAMPLES[name])


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("*/*/*.json")), ids=lambda path: "/".join(path.parts[-3:])
)
def test_shipped_configs(validators, path):
    validators[path.parts[-3]].validate(jsonc.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("model", ("net", "config", "hiden_size"), 3),
        ("model", ("net", "config", "hidden_size"), "3"),
        ("model", ("net", "confg"), {}),
        ("model", ("net", "name"), "LSTMM"),
        ("model", ("net",), {"nme": "LSTM"}),
        ("model", ("optimizer", "lrr"), 1),
        ("model", ("optimizer", "lr"), 0),
        ("model", ("optimizer",), {"name": "SGD", "config": {"momntum": 0.9}}),
        ("model", ("optimizer",), {"name": "SGD", "momntum": 0.9}),
        ("model", ("lr_scheduler", "intervall"), "step"),
        ("model", ("lr_scheduler", "config", "gama"), 0.9),
        ("model", ("loss", "terms", "mse", "wieght"), 1),
        ("model", ("loss", "terms", "mse", "config", "pre_emphassis"), 1),
        ("model", ("loss",), {"mrstft_wieght": 1}),
        ("model", ("losss",), {}),
        ("data", ("train", 0, "nyy"), 3),
        ("data", ("common", "dealy"), 3),
        ("data", ("validation", "ny"), "x"),
        ("data", ("metadata",), {"gear_type": "x"}),
        ("data", ("joint",), [{"nmae": "x"}]),
        ("learning", ("trainer", "max_epoch"), 3),
        ("learning", ("trainer", "max_epochs"), -2),
        ("learning", ("train_dataloader", "batch_size"), 0),
        ("learning", ("callbacks", 0, "config", "patince"), 3),
        ("learning", ("export",), ["nma"]),
        ("learning", ("sed",), 3),
    ],
)
def test_mistakes_are_flagged_in_editors(validators, name, path, value):
    document = copy.deepcopy(EXAMPLES[name])
    holder = document
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    assert not validators[name].is_valid(document)


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("model", ("net",), {"name": "my_module.MyNet", "config": {"anything": 1}}),
        ("model", ("net",), {"_target_": "my_module.MyNet", "size": 3}),
        ("model", ("optimizer",), {"name": "SGD", "momentum": 0.9, "lr": 0.1}),
        ("model", ("optimizer",), {"class": "SGD", "kwargs": {"lr": 0.1}}),
        ("model", ("optimizer",), {"name": "AnyOtherOptimizer"}),
        ("model", ("lr_scheduler",), None),
        ("model", ("lr_scheduler",), {"class": "StepLR", "kwargs": {"step_size": 3}}),
        (
            "model",
            ("loss",),
            {"val_loss": "esr", "pre_emph_mrstft_weight": 2e-4, "pre_emph_mrstft_coef": 0.85},
        ),
        ("model", ("loss",), "ESR"),
        ("model", ("loss",), {"name": "ESR", "weight": 2}),
        ("data", ("type",), "paired"),
        ("data", ("train",), {"type": "my_module.MyDataset", "anything": 1}),
        ("data", ("train",), {"name": "paired", "config": {"ny": 3}}),
        ("learning", ("trainer", "callbacks"), "LearningRateMonitor"),
        ("learning", ("callbacks",), [{"class_path": "a.B", "init_args": {}}]),
    ],
)
def test_other_spellings_pass(validators, name, path, value):
    document = copy.deepcopy(EXAMPLES[name])
    holder = document
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    validators[name].validate(document)


def test_the_canonical_dump_is_valid(validators, files):
    files.write(data=DATA, model=A1, learning=LEARNING)
    for name, value in files.load().canonical().items():
        validators[name].validate(value)


@pytest.mark.parametrize("name", NAMES)
def test_committed_files_are_up_to_date(generated, name):
    committed = (CONFIGS / "schema" / f"{name}.schema.json").read_text(encoding="utf-8")
    comment = json.loads(committed)["$comment"]
    if comment != f"generated with {', '.join(generated_with())}":
        pytest.skip(f"the committed file was {comment}")
    assert committed == schema_text(generated[name])


def test_writing(tmp_path, generated):
    paths = write_schemas(tmp_path)
    assert [path.name for path in paths] == [f"{name}.schema.json" for name in NAMES]
    assert json.loads(paths[1].read_text(encoding="utf-8")) == generated["model"]
