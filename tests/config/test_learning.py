import json

import pytest
from pydantic import ValidationError

from nam_like.config.learning import LearningConfig
from nam_like.config.signature import given


def read(**value):
    return LearningConfig.model_validate(value)


def errors(**value):
    with pytest.raises(ValidationError) as raised:
        read(**value)
    return {error["loc"]: error["msg"] for error in raised.value.errors()}


def test_everything_is_optional():
    learning = read()
    assert given(learning.train_dataloader) == {"batch_size": 16, "shuffle": True}
    assert given(learning.val_dataloader) == {}
    assert learning.trainer_arguments() == {}
    assert (learning.seed, learning.top_k, learning.export, learning.threshold_esr) == (0, 3, None, None)
    assert learning.standard_loggers


def test_arguments_pass_unchanged():
    trainer = {
        "accelerator": "cpu",
        "devices": [0],
        "max_epochs": 3,
        "val_check_interval": 1,
        "precision": "bf16-mixed",
        "max_time": {"hours": 1},
        "gradient_clip_val": 1.0,
        "limit_val_batches": 0.5,
    }
    learning = read(
        trainer=trainer, trainer_fit_kwargs={"ckpt_path": "a.ckpt"}, val_dataloader={"batch_size": None}
    )
    assert learning.trainer_arguments() == trainer
    assert type(learning.trainer_arguments()["val_check_interval"]) is int
    assert given(learning.trainer_fit_kwargs) == {"ckpt_path": "a.ckpt"}
    assert given(learning.val_dataloader) == {"batch_size": None}


def test_an_empty_loader_means_torch_defaults():
    assert given(read(train_dataloader={}).train_dataloader) == {}


def test_callbacks_and_loggers_stand_in_two_places():
    learning = read(
        callbacks=[{"name": "EarlyStopping", "config": {"monitor": "ESR"}}],
        loggers=[{"name": "csv", "config": {"name": "x"}}],
        trainer={
            "callbacks": {"class": "Timer", "kwargs": {"duration": "00:01:00:00"}},
            "logger": [{"class_path": "pytorch_lightning.loggers.CSVLogger", "init_args": {"name": "y"}}],
            "max_epochs": 1,
        },
    )
    assert [item.name for item in learning.all_callbacks()] == ["EarlyStopping", "Timer"]
    assert [item.config.name for item in learning.all_loggers()] == ["x", "y"]
    assert learning.trainer_arguments() == {"max_epochs": 1}
    assert [at for at, _ in learning.located_callbacks()] == [("callbacks", 0), ("trainer", "callbacks")]
    dump = learning.canonical()
    assert json.loads(json.dumps(dump)) == dump
    assert LearningConfig.model_validate(dump).canonical() == dump
    assert len(dump["callbacks"]) == 2


@pytest.mark.parametrize(("logger", "standard"), [(False, False), (True, True), (None, True), ([], True)])
def test_logger_false_switches_the_standard_ones_off(logger, standard):
    learning = read(trainer={"logger": logger})
    assert learning.standard_loggers is standard
    assert LearningConfig.model_validate(learning.canonical()).standard_loggers is standard


def test_exporters():
    learning = read(export=["torchscript"], top_k=1, threshold_esr=0.01, seed=3)
    dump = learning.canonical()
    assert dump["export"] == [{"name": "torchscript", "config": {}}]
    assert read(export=[]).canonical()["export"] == []
    assert LearningConfig.model_validate(dump).canonical() == dump


@pytest.mark.parametrize(
    ("value", "loc", "message"),
    [
        ({"train_dataloader": {"batch_size": 0}}, ("train_dataloader", "batch_size"), "expected at least 1"),
        (
            {"train_dataloader": {"batchsize": 1}},
            ("train_dataloader", "batchsize"),
            "did you mean 'batch_size'?",
        ),
        (
            {"train_dataloader": {"num_workers": -1}},
            ("train_dataloader", "num_workers"),
            "expected at least 0",
        ),
        (
            {"train_dataloader": {"shuffle": 1}},
            ("train_dataloader", "shuffle"),
            "expected null or true or false",
        ),
        (
            {"train_dataloader": {"dataset": []}},
            ("train_dataloader", "dataset"),
            "which the run supplies itself",
        ),
        ({"train_dataloader": {"prefetch_factor": 2}}, ("train_dataloader",), "prefetch_factor"),
        ({"train_dataloader": {"persistent_workers": True}}, ("train_dataloader",), "num_workers"),
        ({"val_dataloader": {"batch_size": None, "drop_last": True}}, ("val_dataloader",), "drop_last"),
        ({"trainer": {"max_epoch": 5}}, ("trainer", "max_epoch"), "did you mean 'max_epochs'?"),
        ({"trainer": {"max_epochs": -2}}, ("trainer", "max_epochs"), "expected at least -1, but got -2"),
        (
            {"trainer": {"max_epochs": 2.5}},
            ("trainer", "max_epochs"),
            "expected an integer or null, but got 2.5",
        ),
        ({"trainer": {"accelerator": "gup"}}, ("trainer", "accelerator"), "did you mean 'gpu'?"),
        ({"trainer": {"strategy": "dpp"}}, ("trainer", "strategy"), "did you mean 'ddp'?"),
        ({"trainer": {"precision": "16-mixd"}}, ("trainer", "precision"), "'16-mixed'"),
        ({"trainer": {"devices": 0}}, ("trainer", "devices"), "expected at least 1 device"),
        ({"trainer": {"devices": -3}}, ("trainer", "devices"), "expected at least 1 device"),
        ({"trainer": {"val_check_interval": 0}}, ("trainer", "val_check_interval"), "expected more than 0"),
        ({"trainer": {"val_check_interval": 1.5}}, ("trainer", "val_check_interval"), "a fraction up to 1.0"),
        ({"trainer": {"gradient_clip_algorithm": "nrm"}}, ("trainer", "gradient_clip_algorithm"), "'norm'?"),
        (
            {"trainer": {"default_root_dir": "x"}},
            ("trainer", "default_root_dir"),
            "which the run supplies itself",
        ),
        ({"trainer": {"min_epochs": 5, "max_epochs": 2}}, ("trainer", "min_epochs"), "at most max_epochs 2"),
        (
            {"trainer": {"callbacks": ["EarlyStoping"]}},
            ("trainer", "callbacks", 0),
            "did you mean 'EarlyStopping'?",
        ),
        ({"trainer": {"logger": 3}}, ("trainer", "logger"), "expected a logger"),
        ({"trainer": []}, ("trainer",), "should be"),
        ({"trainer_fit_kwargs": {"ckpt": "x"}}, ("trainer_fit_kwargs", "ckpt"), "did you mean 'ckpt_path'?"),
        (
            {"callbacks": [{"name": "EarlyStopping", "config": {"patince": 1, "monitor": "ESR"}}]},
            None,
            "'patience'?",
        ),
        ({"callbacks": "EarlyStopping"}, ("callbacks",), "list"),
        ({"seed": -1}, ("seed",), "greater than or equal to 0"),
        ({"seed": True}, ("seed",), "expected an integer, but got true"),
        ({"top_k": 0}, ("top_k",), "greater than 0"),
        ({"steps_per_launch": 0}, ("steps_per_launch",), "greater than 0"),
        (
            {"steps_per_launch": 4, "trainer": {"accumulate_grad_batches": 2}},
            ("steps_per_launch",),
            "to be 1 with accumulate_grad_batches 2, but got 4",
        ),
        (
            {"tf32": True, "trainer": {"accelerator": "mps"}},
            ("tf32",),
            "expected `tf32` to be false with accelerator 'mps'",
        ),
        ({"threshold_esr": 0}, ("threshold_esr",), "greater than 0"),
        ({"export": ["nma"]}, ("export", 0), "did you mean 'nam'?"),
    ],
)
def test_errors(value, loc, message):
    found = errors(**value)
    assert list(found) == [loc or ("callbacks", 0, "config", "patince")]
    assert message in next(iter(found.values()))
