import pytest
from pydantic import ValidationError

from nam_like.config.logged import logged_names
from nam_like.config.model import ModelConfig
from nam_like.registry import NETS, TASKS

NET = {"name": "FakeNet", "config": {"layers_configs": [{"channels": 3}]}}


def read(**value):
    return ModelConfig.model_validate({"net": NET, "optimizer": {"lr": 0.004}, **value})


def errors(**value):
    with pytest.raises(ValidationError) as raised:
        read(**value)
    return {error["loc"]: error["msg"] for error in raised.value.errors()}


def test_defaults():
    model = read()
    assert model.canonical() == {
        "net": NET,
        "optimizer": {"name": "Adam", "config": {"lr": 0.004}},
        "lr_scheduler": None,
        "loss": {
            "terms": {"mse": {"name": "MSE", "weight": 1.0, "config": {}}},
            "val_loss": "mse",
            "mask_first": 0,
        },
    }
    assert ModelConfig.model_validate(model.canonical()).canonical() == model.canonical()


@pytest.mark.parametrize(
    ("optimizer", "name", "config"),
    [
        ({"lr": 0.1, "betas": [0.9, 0.99]}, "Adam", {"lr": 0.1, "betas": [0.9, 0.99]}),
        ({}, "Adam", {}),
        ({"name": "RAdam", "lr": 0.1}, "RAdam", {"lr": 0.1}),
        ({"class": "SGD", "kwargs": {"lr": 0.1}}, "SGD", {"lr": 0.1}),
        ({"name": "torch.optim.AdamW", "config": {"lr": 0.1}}, "torch.optim.AdamW", {"lr": 0.1}),
        ("Adagrad", "Adagrad", {}),
    ],
)
def test_optimizers(optimizer, name, config):
    model = read(optimizer=optimizer)
    assert model.optimizer.canonical() == {"name": name, "config": config}


def test_scheduler_and_its_siblings():
    spec = {"class": "StepLR", "kwargs": {"step_size": 3}, "interval": "step", "frequency": 2}
    model = read(lr_scheduler=spec)
    assert model.lr_scheduler.siblings.interval == "step"
    assert model.canonical()["lr_scheduler"] == {
        "name": "StepLR",
        "config": {"step_size": 3},
        "interval": "step",
        "frequency": 2,
    }


def test_plateau_watches_val_loss_unless_told():
    assert read(lr_scheduler="ReduceLROnPlateau").lr_scheduler.siblings.monitor == "val_loss"
    spec = {"name": "torch.optim.lr_scheduler.ReduceLROnPlateau", "config": {"patience": 2}, "monitor": "ESR"}
    assert read(lr_scheduler=spec).lr_scheduler.siblings.monitor == "ESR"
    model = read(lr_scheduler={"class": "ReduceLROnPlateau", "kwargs": {}})
    assert model.canonical()["lr_scheduler"]["monitor"] == "val_loss"


@pytest.mark.parametrize(
    ("value", "loc", "message"),
    [
        ({"optimizer": {"lr": 0}}, ("optimizer", "lr"), "expected more than 0, but got 0"),
        ({"optimizer": {"lrr": 1}}, ("optimizer", "lrr"), "did you mean 'lr'?"),
        ({"optimizer": None}, ("optimizer",), "expected an optimizer"),
        (
            {"lr_scheduler": {"class": "StepLR", "kwarg": {}}},
            ("lr_scheduler", "kwarg"),
            "did you mean 'kwargs'?",
        ),
        (
            {"lr_scheduler": {"class": "StepLR", "kwargs": {"step_size": 1}, "interval": "batch"}},
            ("lr_scheduler", "interval"),
            "'epoch' or 'step'",
        ),
        (
            {"lr_scheduler": {"class": "StepLR", "kwargs": {"step_size": 1}, "frequency": 0}},
            ("lr_scheduler", "frequency"),
            "greater than 0",
        ),
        (
            {"lr_scheduler": {"class": "StepLR", "kwargs": {"step_size": 1}, "monitor": "ESR"}},
            ("lr_scheduler", "monitor"),
            "expected no `monitor`, for StepLR watches no metric, but got 'ESR'",
        ),
        ({"loss": {"val_loss": "dc"}}, ("loss", "val_loss"), "but got 'dc'"),
        ({"net": {"name": "FakeNt"}}, ("net", "name"), "did you mean 'FakeNet'?"),
        ({"los": {}}, ("los",), "did you mean 'loss'?"),
        (
            {"checkpoint_path": "a.ckpt", "init_from_nam": "b.nam"},
            ("init_from_nam",),
            "expected `checkpoint_path` or `init_from_nam`, but got both",
        ),
        ({"task": "regresion"}, ("task",), "did you mean 'regression'?"),
        ({"metrics": ["ESRR"]}, ("metrics", 0), "did you mean 'ESR'?"),
    ],
)
def test_errors(value, loc, message):
    found = errors(**value)
    assert list(found) == [loc]
    assert message in found[loc]


def test_mistakes_of_several_parts_come_together():
    found = errors(loss={"val_loss": "dc"}, optimizer={"lr": -1}, net={"name": "FakeNet", "config": {}})
    assert set(found) == {("loss", "val_loss"), ("optimizer", "lr"), ("net", "config", "layers_configs")}


def test_logged_names():
    model = read(loss={"dc_weight": 1}, metrics=["MSE", "torch.nn.L1Loss"])
    assert logged_names(model) == [
        "val_loss",
        "MSE",
        "ESR",
        "L1Loss",
        "train_loss",
        "train_mse",
        "train_dc",
        "val_mse",
        "val_dc",
        "lr",
    ]


def test_terms_of_weight_0_are_measured_in_validation_only():
    names = logged_names(read(loss={"terms": {"a": "MSE", "b": {"name": "DC", "weight": 0}}}))
    assert {"val_a", "val_b", "train_a"} <= set(names)
    assert "train_b" not in names


def test_tasks():
    class Mute:
        pass

    class Speaking:
        @classmethod
        def logged_names(cls, model):
            return ["word_error_rate"]

    TASKS.register("mute", Mute)
    TASKS.register("speaking", Speaking)
    NETS.register("Other", dict, takes_dict=True, task="speaking")
    try:
        assert logged_names(read(task="mute")) is None
        assert logged_names(read(task="speaking")) == ["word_error_rate"]
        assert logged_names(read(net={"name": "Other", "config": {}})) == ["word_error_rate"]
        assert read(task="mute").resolved_task().name == "mute"
        assert read(net={"name": "Other", "config": {}}).resolved_task().name == "speaking"
    finally:
        TASKS.unregister("mute")
        TASKS.unregister("speaking")
        NETS.unregister("Other")
