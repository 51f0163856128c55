"""What a run refuses before it writes anything, placed in the file that is wrong."""

import pytest
from amp import LAYER, load, train, write_capture

from nam_like.config.errors import ConfigError
from nam_like.train.checkpoints import CheckpointError
from nam_like.train.prepare import prepare


def refused(folder, *overrides):
    with pytest.raises(ConfigError) as caught:
        prepare(load(folder, *overrides), folder / "out")
    assert not (folder / "out").exists()
    (problem,) = caught.value.problems
    return problem


def test_a_burn_in_as_long_as_the_segments(tmp_path):
    net = {"name": "LSTM", "config": {"hidden_size": 2, "train_burn_in": 512}}
    problem = refused(write_capture(tmp_path, model={"net": net}))
    assert problem.path == "net.config"
    assert "512" in problem.message


def test_segments_too_short_for_the_loss(tmp_path):
    problem = refused(write_capture(tmp_path, model={"loss": {"mrstft_weight": 1e-3}}))
    assert (problem.path, problem.line > 0) == ("train.ny", True)


def test_weights_of_a_net_of_another_size(tmp_path):
    first = train(write_capture(tmp_path / "first"), "learning.trainer.max_epochs=1")
    wide = {"name": "WaveNet", "config": {"layers_configs": [{**LAYER, "channels": 3}], "head_scale": 0.1}}
    second = write_capture(tmp_path / "second", model={"net": wide})
    problem = refused(second, f"model.init_from_nam={first.folder}/model.nam")
    assert problem.path.endswith("init_from_nam")
    assert "differ in name or shape" in problem.message


def test_resuming_with_another_learning_rate(tmp_path):
    folder = write_capture(tmp_path)
    train(folder, "learning.trainer.max_epochs=1")
    with pytest.raises(CheckpointError, match="optimizer and lr_scheduler"):
        prepare(load(folder, "model.optimizer.lr=0.001"), folder / "out", resume="last")
