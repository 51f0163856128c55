import pytest

from nam_like.config.errors import ConfigError
from nam_like.registry import TASKS


def problem(files):
    with pytest.raises(ConfigError) as raised:
        files.load()
    (found,) = raised.value.problems
    return found


def with_callback(files, callback, **trainer):
    files.write(learning={"callbacks": [callback], "trainer": trainer})
    return files


@pytest.mark.parametrize(
    "monitor", ["val_loss", "ESR", "MSE", "train_loss", "val_mse", "train_pre_emph_mrstft", "lr"]
)
def test_logged_values_can_be_monitored(files, monitor):
    with_callback(files, {"name": "EarlyStopping", "config": {"monitor": monitor}}).load()


@pytest.mark.parametrize(
    "callback",
    [
        {"name": "EarlyStopping", "config": {"monitor": "val_esr"}},
        {"class": "ModelCheckpoint", "kwargs": {"monitor": "val_esr"}},
        {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "val_esr"},
        {"name": "EarlyStopping", "monitor": "val_esr"},
    ],
)
def test_a_monitored_value_that_nobody_logs(files, callback):
    found = problem(with_callback(files, callback))
    assert found.path.endswith("monitor")
    assert found.path.startswith("callbacks[0]")
    assert "but got 'val_esr'; did you mean" in found.message
    assert found.source_line.strip().startswith('"monitor"')


def test_in_the_trainer_and_in_the_scheduler(files):
    callback = {"name": "EarlyStopping", "config": {"monitor": "loss"}}
    files.write(learning={"trainer": {"callbacks": callback}})
    assert problem(files).path == "trainer.callbacks.config.monitor"
    files.write(learning={})
    net = {"name": "FakeNet", "config": {"layers_configs": [{"channels": 1}]}}
    scheduler = {"class": "ReduceLROnPlateau", "kwargs": {}, "monitor": "val_esr"}
    files.write(model={"net": net, "optimizer": {}, "lr_scheduler": scheduler})
    assert problem(files).path == "lr_scheduler.monitor"


def test_tasks_that_say_nothing_may_log_anything(files):
    TASKS.register("mute", type("Mute", (), {}))
    try:
        net = {"name": "FakeNet", "config": {"layers_configs": [{"channels": 1}]}}
        files.write(model={"net": net, "optimizer": {}, "task": "mute"})
        with_callback(files, {"name": "EarlyStopping", "config": {"monitor": "wer"}}).load()
    finally:
        TASKS.unregister("mute")


@pytest.mark.parametrize(
    ("model", "path", "message"),
    [
        ({"optimizer": {"betas": [1.5, 0.9]}}, "optimizer", "Invalid beta parameter"),
        ({"optimizer": {"name": "SGD", "config": {"nesterov": True}}}, "optimizer.config", "momentum"),
        ({"optimizer": {}, "lr_scheduler": "OneCycleLR"}, "lr_scheduler", "max_lr"),
        (
            {"optimizer": {}, "lr_scheduler": {"name": "OneCycleLR", "config": {"max_lr": 0.1}}},
            "lr_scheduler.config",
            "total_steps",
        ),
    ],
)
def test_what_optimisers_and_schedulers_refuse(files, model, path, message):
    net = {"name": "FakeNet", "config": {"layers_configs": [{"channels": 1}]}}
    files.write(model={"net": net, **model})
    found = problem(files)
    assert found.path.startswith(path)
    assert message in found.message


def test_what_callbacks_refuse(files):
    callback = {"name": "EarlyStopping", "config": {"monitor": "ESR", "mode": "mni"}}
    found = problem(with_callback(files, callback))
    assert found.path == "callbacks[0].config"
    assert "mode" in found.message
