"""Misspelt keys and names, told without PyTorch; held against what the config models say."""

import copy
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nam_like.config import jsonc, typos
from nam_like.config.data import DataConfig
from nam_like.config.learning import LearningConfig
from nam_like.config.model import ModelConfig
from nam_like.config.phrases import phrased
from nam_like.presets import configs_dir

MODELS = {"data": DataConfig, "model": ModelConfig, "learning": LearningConfig}
SHIPPED = [(path.parent.parent.name, path) for path in sorted(configs_dir().glob("*/amp/*.json"))]
SCHEMAS = {kind: typos.schema_of(kind) for kind in MODELS}

pytestmark = pytest.mark.skipif(None in SCHEMAS.values(), reason="the schemas are of other libraries")


def read(path):
    return jsonc.loads(jsonc.read_text(path))


def keys_of(value, at=()):
    """The path of every key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if isinstance(key, str) and key[0] not in "_$":
            yield (*at, key)
        yield from keys_of(item, (*at, key))


def renamed(value, at, name):
    """A copy in which the key at a path has another name."""
    value = copy.deepcopy(value)
    holder = value
    for step in at[:-1]:
        holder = holder[step]
    holder[name] = holder.pop(at[-1])
    return value


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=lambda value: getattr(value, "stem", value))
def test_shipped_configs_have_none(kind, path):
    assert typos.typos(read(path), SCHEMAS[kind]) == []


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_told_is_what_the_models_say(data):
    kind, path = data.draw(st.sampled_from(SHIPPED))
    value = read(path)
    at = data.draw(st.sampled_from(sorted(keys_of(value), key=str)))
    word = at[-1]
    place = data.draw(st.integers(0, len(word) - 1))
    value = renamed(
        value, at, word[:place] + data.draw(st.sampled_from(["", word[place] * 2])) + word[place + 1 :]
    )
    found = typos.typos(value, SCHEMAS[kind])
    try:
        MODELS[kind].model_validate(value)
        problems = set()
    except ValidationError as error:
        problems = {loc for loc, _, _ in phrased(error, value)}
    assert {loc for loc, _, _ in found} <= problems


@pytest.mark.parametrize(
    ("kind", "value", "at"),
    [
        ("learning", {"trainer": {"max_epocs": 3}}, ("trainer", "max_epocs")),
        ("learning", {"train_dataloader": {"bach_size": 3}}, ("train_dataloader", "bach_size")),
        ("learning", {"callbacks": [{"name": "EarlyStopping", "config": {"patince": 3}}]},
         ("callbacks", 0, "config", "patince")),
        ("model", {"net": {"name": "WavNet", "config": {}}}, ("net", "name")),
        ("model", {"net": {"name": "LSTM", "config": {"hiden_size": 8}}}, ("net", "config", "hiden_size")),
        ("model", {"net": "LSTM", "optimzer": {"lr": 0.1}}, ("optimzer",)),
        ("model", {"net": "LSTM", "optimizer": {"name": "Adam", "config": {"bettas": [0, 0]}}},
         ("optimizer", "config", "bettas")),
        ("model", {"net": "LSTM", "loss": {"terms": {"a": {"name": "MRSTFT", "wieght": 1}}}},
         ("loss", "terms", "a", "wieght")),
        ("data", {"train": {"x_pth": "x.wav"}, "validation": {}}, ("train", "x_pth")),
        ("data", {"train": [{"ny": 3}, {"dealy": 3}], "validation": {}}, ("train", 1, "dealy")),
    ],
)  # fmt: skip
def test_finds(kind, value, at):
    assert [loc for loc, _, _ in typos.typos(value, SCHEMAS[kind])] == [at]


@pytest.mark.parametrize(
    "value",
    [
        {"net": {"name": "my_module.Net", "config": {"hiden_size": 8}}},
        {"net": {"class": "LSTM", "kwargs": {"hidden_size": 8}}, "optimizer": {"lr": 0.1}},
        {"net": "LSTM", "optimizer": {"name": "Lion", "config": {"bettas": [0, 0]}}, "lr_scheduler": None},
        {"net": "LSTM", "loss": {"val_loss": "esr", "pre_emph_mrstft_weight": 2e-4}},
        {"net": {"name": "LSTM", "config": {"_hiden_size": "a note"}}, "unlike_anything": 1},
    ],
)
def test_leaves_to_others_what_it_cannot_know(value):
    assert typos.typos(value, SCHEMAS["model"]) == []


def test_a_typo_is_told_without_torch(tmp_path):
    files = {"data": {"train": {}, "validation": {}}, "model": {"net": "LSTM"}, "learning": {"seeed": 1}}
    for kind, value in files.items():
        (tmp_path / f"{kind}.json").write_text(json.dumps(value))
    code = """
import sys
from nam_like.cli.full import main
code = main(["data.json", "model.json", "learning.json", "out", "--no-extensions"])
print(code, [name for name in ("torch", "numpy", "pytorch_lightning") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines()[-1] == "2 []"
    assert (
        "learning.json:1:2  seeed — expected a known key, but got 'seeed'; did you mean 'seed'?"
        in done.stderr
    )
    assert "1 error; values are checked once it is corrected" in done.stderr


def test_schemas_of_other_libraries_do_not_count(monkeypatch):
    monkeypatch.setattr(typos, "version", lambda name: "0.1")
    assert typos.schema_of("model") is None
