import pytest
from pydantic import ValidationError

from nam_like.config.data import DataConfig
from nam_like.registry import DATASETS

COMMON = {"x_path": "x.wav", "y_path": "y.wav"}


def read(**value):
    return DataConfig.model_validate(value)


def errors(**value):
    with pytest.raises(ValidationError) as raised:
        read(**value)
    return {error["loc"]: error["msg"] for error in raised.value.errors()}


def test_common_is_merged_and_the_dataset_wins():
    data = read(train={"ny": 64, "delay": 3}, validation={}, common={**COMMON, "delay": 1, "_notes": "n"})
    assert [member.config.delay for member in (*data.train, *data.validation)] == [3, 1]
    assert data.train[0].name == "paired"
    assert data.train[0].config.ny == 64
    assert data.validation[0].config.ny is None
    assert (data.train_is_list, data.validation_is_list) == (False, False)


@pytest.mark.parametrize(
    "value",
    [
        {"train": {**COMMON, "type": "paired"}},
        {"train": {**COMMON, "type": "dataset"}},
        {"train": {"name": "paired", "config": COMMON}},
        {"train": {"type": "paired", "config": COMMON}},
        {"train": {"name": "paired"}, "common": COMMON},
        {"train": {**COMMON, "_target_": "paired"}},
        {"train": {"class_path": "paired", "init_args": COMMON}},
        {"train": {"path": "paired", "args": {}}, "common": COMMON},
        {"train": COMMON, "type": "paired"},
        {"train": {}, "common": {**COMMON, "type": "paired"}},
    ],
)
def test_spellings(value):
    data = read(validation=COMMON, **value)
    assert data.canonical()["train"] == {"name": "paired", "config": COMMON}
    assert DataConfig.model_validate(data.canonical()).canonical() == data.canonical()


def test_lists_stay_lists():
    data = read(train=[{"ny": 1}, {"ny": 2, "y_path": "z.wav"}], validation=[{}], common=COMMON)
    dump = data.canonical()
    assert [member["config"]["ny"] for member in dump["train"]] == [1, 2]
    assert isinstance(dump["validation"], list)
    assert DataConfig.model_validate(dump).canonical() == dump


def test_type_of_the_split_wins_over_common_and_top():
    DATASETS.register("raw_a", dict, takes_dict=True)
    DATASETS.register("raw_b", dict, takes_dict=True)
    try:
        data = read(
            type="raw_a",
            train={},
            validation={"type": "paired", **COMMON},
            common={"type": "raw_b", "delay": 1},
        )
        assert [member.name for member in (*data.train, *data.validation)] == ["raw_b", "paired"]
        assert data.train[0].config == {"delay": 1}
    finally:
        DATASETS.unregister("raw_a")
        DATASETS.unregister("raw_b")


def test_nx_reaches_those_that_read_it():
    class Plain:
        def __init__(self, folder: str, nx: int = 1) -> None:
            pass

    DATASETS.register("plain", Plain)
    try:
        data = read(train={"nx": 5, **COMMON}, validation={"type": "plain", "folder": "f", "nx": 5})
    finally:
        DATASETS.unregister("plain")
    assert data.train[0].config.nx == 5
    assert data.validation[0].canonical() == {"name": "plain", "config": {"folder": "f"}}


@pytest.mark.parametrize(
    ("value", "loc", "message"),
    [
        ({"validation": COMMON}, ("train",), "expected the key 'train'"),
        ({"trian": COMMON, "validation": COMMON}, ("trian",), "did you mean 'train'?"),
        (
            {"train": {"knobs": 1}, "validation": {"knobs": 1}, "type": 1},
            ("type",),
            "expected the name of a kind",
        ),
        ({"train": 3, "validation": COMMON}, ("train",), "expected an object or a list of them, but got 3"),
        (
            {"train": [], "validation": COMMON},
            ("train",),
            "expected at least one dataset, but got an empty list",
        ),
        ({"train": [COMMON, 3], "validation": COMMON}, ("train", 1), "expected an object, but got 3"),
        ({"train": COMMON, "validation": {"x_path": "x"}}, ("validation", "y_path"), "required"),
        ({"train": {**COMMON, "ny": 0}, "validation": COMMON}, ("train", "ny"), "greater than 0"),
        (
            {"train": {"name": "paired", "config": {**COMMON, "nyy": 1}}, "validation": COMMON},
            ("train", "config", "nyy"),
            "did you mean 'ny'?",
        ),
        (
            {"train": {}, "validation": {}, "common": {**COMMON, "dealy": 1}},
            ("common", "dealy"),
            "did you mean 'delay'?",
        ),
        (
            {"train": {"delay": 1.5}, "validation": {}, "common": {**COMMON, "delay": 1}},
            ("train", "delay"),
            "expected an integer, but got 1.5",
        ),
        ({"train": {}, "validation": {}, "common": 3}, ("common",), "expected an object, but got 3"),
        (
            {"train": COMMON, "validation": COMMON, "type": 3},
            ("type",),
            "expected the name of a kind of dataset",
        ),
        ({"train": COMMON, "validation": COMMON, "type": "pared"}, ("type",), "did you mean 'paired'?"),
        ({"train": {**COMMON, "type": "x"}, "validation": COMMON}, ("train", "type"), "unknown dataset 'x'"),
        (
            {"train": {**COMMON, "type": "paired", "name": "paired"}, "validation": COMMON},
            ("train", "type"),
            "expected one key that names the dataset",
        ),
        (
            {"train": {"name": "paired", "config": COMMON, "ny": 1}, "validation": COMMON},
            ("train", "ny"),
            "expected it inside `config`",
        ),
        ({"train": COMMON, "validation": COMMON, "comon": {}}, ("comon",), "did you mean 'common'?"),
        (
            {"train": COMMON, "validation": COMMON, "train_is_list": True},
            ("train_is_list",),
            "expected a known key",
        ),
        (
            {"train": COMMON, "validation": COMMON, "joint": [{"nme": "x"}]},
            ("joint", 0),
            "did you mean 'name'?",
        ),
        (
            {"train": COMMON, "validation": COMMON, "metadata": {"gear_type": "amplifier"}},
            ("metadata", "gear_type"),
            "'amp'",
        ),
        (
            {"train": COMMON, "validation": COMMON, "metadata": {"gear_maker": "x"}},
            ("metadata", "gear_maker"),
            "did you mean 'gear_make'?",
        ),
    ],
)
def test_errors_stand_where_the_key_stands(value, loc, message):
    found = errors(**value)
    assert list(found) == [loc]
    assert message in found[loc]


def test_errors_of_all_parts_come_together():
    found = errors(train={"ny": "x"}, validation={}, common={"x_path": 3}, metadata={"name": 1}, joint=3)
    assert set(found) == {
        ("train", "ny"),
        ("common", "x_path"),
        ("train", "y_path"),
        ("validation", "y_path"),
        ("metadata", "name"),
        ("joint",),
    }


def test_metadata_and_hooks_are_dumped():
    data = read(
        train=COMMON,
        validation=COMMON,
        metadata={"name": "JCM", "gear_type": "amp", "input_level_dbu": 12.5},
        joint=[{"name": "normalize_output", "kwargs": {}}],
    )
    assert data.canonical()["metadata"] == {"name": "JCM", "gear_type": "amp", "input_level_dbu": 12.5}
    assert data.canonical()["joint"] == [{"name": "normalize_output", "config": {}}]
    assert data.metadata.model_dump()["tone_type"] is None
