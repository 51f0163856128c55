"""The smaller parts of training."""

import json
import logging
import random
import signal
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import TinyNet, fit, make_task
from torch import nn

from nam_like.config.component import component
from nam_like.errors import UserError
from nam_like.losses.sum import WeightedSum
from nam_like.losses.time import MSE
from nam_like.models.amp.lstm import LSTM
from nam_like.optim.build import OptimizerError, Schedule, build_optimizer, build_scheduler
from nam_like.registry import NETS, DuplicateNameError
from nam_like.train.callbacks.progress import clock
from nam_like.train.checkpoints import CheckpointError, load_checkpoint, net_from_checkpoint, plain
from nam_like.train.lightning_module import LightningModule
from nam_like.train.metrics_csv import MetricsCsv
from nam_like.train.random_state import get_random_state, seed_everything, set_random_state
from nam_like.train.resume import find_checkpoint
from nam_like.train.run_folder import RunFolder, latest_run
from nam_like.train.streaming import has_finite_memory, play
from nam_like.train.tasks.regression import Regression


class TestStreaming:
    @pytest.mark.parametrize("length", [5, 36, 37, 100, 101])
    def test_pieces_are_the_whole(self, length):
        net = TinyNet().eval().double()
        x = torch.randn(2, length, dtype=torch.float64)
        whole = net(x, pad_start=False)
        assert torch.allclose(play(net, x, outputs=32), whole, rtol=1e-12, atol=1e-12)
        assert play(net, x, outputs=32).shape == (2, length - 4)

    def test_pieces_are_bounded(self):
        seen = []

        class Spy(TinyNet):
            def forward(self, x, pad_start=False):
                seen.append(x.shape[-1])
                return super().forward(x, pad_start)

        play(Spy(), torch.randn(1, 1000), outputs=100)
        assert max(seen) == 104

    def test_aligned_conditions_are_cut_and_constant_ones_are_not(self):
        class Knobs(nn.Module):
            receptive_field = 3

            def forward(self, x, constant, aligned, pad_start=False):
                return (x + constant.sum(1, keepdim=True) + aligned[:, 0])[:, 2:]

        x, constant, aligned = torch.randn(2, 50), torch.randn(2, 3), torch.randn(2, 1, 50)
        net = Knobs()
        whole = net(x, constant, aligned)
        assert torch.equal(play(net, x, constant, aligned, outputs=7), whole)

    @pytest.mark.parametrize("knobs", ["none", "constant", "aligned"])
    def test_an_lstm_is_played_in_pieces_that_carry_its_state(self, knobs, monkeypatch):
        torch.manual_seed(0)
        net = LSTM(3, 2, input_size=1 if knobs == "none" else 3, sample_rate=100.0).eval()
        x = torch.randn(2, 100)
        given = {"none": [], "constant": [torch.randn(2, 2)], "aligned": [torch.randn(2, 2, 100)]}[knobs]
        lengths, run = [], net._run
        with torch.no_grad():
            whole = net(x, *given)
            monkeypatch.setattr(
                net, "_run", lambda inputs, state: (lengths.append(inputs.shape[1]), run(inputs, state))[1]
            )
            pieces = play(net, x, *given, outputs=32)
        torch.testing.assert_close(pieces, whole)
        assert lengths[-4:] == [32, 32, 32, 4]
        assert 100 not in lengths

    def test_a_recurrent_net_without_resume_is_played_in_one_piece(self):
        class Recurrent(nn.Module):
            receptive_field = 1

            def __init__(self):
                super().__init__()
                self.lstm = nn.LSTM(1, 2, batch_first=True)

            def forward(self, x, pad_start=False):
                return self.lstm(x[..., None])[0][..., 0]

        net, x = Recurrent().eval(), torch.randn(1, 100)
        assert not has_finite_memory(net)
        with torch.no_grad():
            assert torch.equal(play(net, x, outputs=10), net(x))


class TestCheckpoints:
    def test_plain_types_survive_the_safe_loader(self, tmp_path, caplog):
        value = {
            "number": np.float64(0.5),
            "array": np.arange(3),
            "path": Path("a"),
            "signal": signal.SIGTERM,
            "counter": Counter(a=2),
            "ordered": OrderedDict(x=torch.ones(2)),
            "nested": [(1, {2, 3}), None, True],
            "function": len,
        }
        with caplog.at_level(logging.WARNING):
            torch.save({"state_dict": {}, "value": plain(value)}, tmp_path / "a.ckpt")
        loaded = load_checkpoint(tmp_path / "a.ckpt")["value"]
        assert loaded["number"] == 0.5
        assert loaded["array"].tolist() == [0, 1, 2]
        assert (loaded["path"], loaded["signal"]) == ("a", 15)
        assert loaded["nested"] == [(1, {2, 3}), None, True]
        assert loaded["function"] is None
        assert "checkpoint.function is a builtin_function_or_method" in caplog.text

    def test_a_file_that_would_run_code_is_refused(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "ran",))

        torch.save({"state_dict": {}, "evil": Evil()}, tmp_path / "evil.ckpt")
        with pytest.raises(CheckpointError, match="holds more than plain data"):
            load_checkpoint(tmp_path / "evil.ckpt")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half"])
    def test_a_damaged_file_is_named(self, tmp_path, content):
        (tmp_path / "a.ckpt").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"a\.ckpt"):
            load_checkpoint(tmp_path / "a.ckpt")
        with pytest.raises(CheckpointError, match="no file"):
            load_checkpoint(tmp_path / "b.ckpt")

    def test_a_checkpoint_never_imports(self, tmp_path):
        record = {"configs": {"model": {"net": {"name": "os.path.join", "config": {}}}}}
        torch.save({"state_dict": {}, "nam_like": record}, tmp_path / "a.ckpt")
        with pytest.raises(CheckpointError, match="not; load the extension"):
            net_from_checkpoint(tmp_path / "a.ckpt")

    def test_equal_scores_keep_the_earlier_and_top_k_is_kept(self, tmp_path):
        _, checkpoints = fit(tmp_path, make_task(lr=1e-30), max_epochs=4, top_k=2)
        assert [entry["epoch"] for entry in checkpoints.ranking] == [0, 1]
        assert len(list(checkpoints.folder.glob("epoch-*.ckpt"))) == 2
        assert load_checkpoint(checkpoints.best)["epoch"] == 0
        assert load_checkpoint(checkpoints.last)["epoch"] == 3
        assert not list(checkpoints.folder.glob(".*"))


class TestOptimizers:
    @pytest.mark.parametrize("name", ["Adam", "AdamW", "RAdam", "SGD", "RMSprop", "torch.optim.NAdam"])
    def test_any_of_torch(self, name):
        built = build_optimizer(
            component("optimizer", {"name": name, "config": {"lr": 0.1}}), nn.Linear(1, 1).parameters()
        )
        assert type(built).__name__ == name.rpartition(".")[2]
        assert built.param_groups[0]["lr"] == 0.1

    def test_refusals_are_located(self):
        parameters = list(nn.Linear(1, 1).parameters())
        with pytest.raises(OptimizerError, match=r"model.optimizer: expected a config that Adam accepts.*-1"):
            build_optimizer(
                component("optimizer", {"name": "Adam", "config": {"betas": [0.9, -1.0]}}), parameters
            )
        with pytest.raises(OptimizerError, match="trainable parameters"):
            build_optimizer(component("optimizer", "Adam"), [])
        optimizer = torch.optim.SGD(parameters, 0.1)
        bad = Schedule(
            component("lr_scheduler", {"name": "CyclicLR", "config": {"base_lr": 1, "max_lr": [1, 2]}})
        )
        with pytest.raises(OptimizerError, match=r"model\.lr_scheduler"):
            build_scheduler(bad, optimizer)

    def test_schedules_tell_lightning_when_they_step(self):
        optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), 0.1)
        plateau = build_scheduler(Schedule(component("lr_scheduler", "ReduceLROnPlateau")), optimizer)
        assert (plateau["monitor"], plateau["interval"], plateau["frequency"]) == ("val_loss", "epoch", 1)
        one_cycle = Schedule(
            component("lr_scheduler", {"name": "OneCycleLR", "config": {"max_lr": 1}}), interval="step"
        )
        assert build_scheduler(one_cycle, optimizer, 123)["scheduler"].total_steps == 123

    @pytest.mark.parametrize(
        "scheduler",
        [
            {"name": "MultiStepLR", "config": {"milestones": [1, 2]}},
            {"name": "CosineAnnealingWarmRestarts", "config": {"T_0": 2}},
            {"name": "CyclicLR", "config": {"base_lr": 0.001, "max_lr": 0.01, "cycle_momentum": False}},
            {"name": "PolynomialLR", "config": {"total_iters": 3}},
        ],
        ids=lambda scheduler: scheduler["name"],
    )
    def test_their_states_are_plain(self, tmp_path, scheduler, caplog):
        with caplog.at_level(logging.WARNING, logger="nam_like"):
            _, checkpoints = fit(tmp_path, make_task(scheduler=scheduler), max_epochs=1)
        load_checkpoint(checkpoints.last)
        assert "left out" not in caplog.text


class TestTask:
    def test_a_metric_that_is_better_when_larger_counts_with_its_sign_turned(self):
        class Quality(torch.nn.Module):
            higher_is_better = True

            def update(self, prediction, target):
                pass

            def reset(self):
                pass

            def compute(self):
                return torch.tensor(3.5)

        objective = WeightedSum({"mse": (MSE(), 1.0)})
        task = Regression(TinyNet(), objective, val_loss="Quality", metrics={"Quality": Quality()})
        task.log_dict = lambda values: None
        task.on_validation_epoch_start()
        task.add_to_validation(torch.tensor(1.0), {"mse": torch.tensor(1.0)}, 1.0)
        task._summed = lambda sums: sums
        task.metrics()["ESR"].update(torch.ones(1, 4), torch.ones(1, 4))
        task.on_validation_epoch_end()
        assert task.validated["Quality"] == 3.5
        assert task.validated["val_loss"] == -3.5

    def test_val_loss_must_be_measured(self):
        objective = WeightedSum({"mse": (MSE(), 1.0)})
        for good in ("mse", "esr", "total", "ESR"):
            Regression(TinyNet(), objective, val_loss=good)
        with pytest.raises(UserError, match=r"one of mse, esr, total.*but got 'mrstft'"):
            Regression(TinyNet(), objective, val_loss="mrstft")

    def test_logged_values_are_the_terms(self, tmp_path):
        trainer, _ = fit(tmp_path, make_task(val_loss="total"), max_epochs=1)
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        assert values["val_loss"] == pytest.approx(values["val_mse"] + 0.5 * values["val_pre"], rel=1e-5)
        assert values["train_loss"] == pytest.approx(
            values["train_mse"] + 0.5 * values["train_pre"], rel=1e-5
        )
        assert values["MSE"] == pytest.approx(values["val_mse"], rel=1e-5)
        assert values["lr"] == pytest.approx(0.01)

    def test_a_diverged_run_says_so(self, tmp_path):
        from nam_like.train.errors import DivergedError

        with pytest.raises(DivergedError, match="diverged in epoch 1"):
            fit(tmp_path, make_task(lr=1e30, optimizer="SGD"))

    def test_nets_are_registered_as_plugins_do(self):
        try:
            LightningModule.register_net_initializer("MyTiny", lambda config: TinyNet(**config))
            assert component("net", {"name": "MyTiny", "config": {"dropout": 0.3}}).build().dropout.p == 0.3
            with pytest.raises(DuplicateNameError):
                LightningModule.register_net_initializer("MyTiny", TinyNet)

            @LightningModule.register_net_initializer("MyTiny", overwrite=True)
            def other(config):
                return TinyNet(0.0)

            assert component("net", {"name": "MyTiny", "config": {"dropout": 0.3}}).build().dropout.p == 0.0
        finally:
            NETS.unregister("MyTiny")


class TestFolders:
    def test_two_runs_of_a_second_get_two_folders(self, tmp_path):
        folders = [RunFolder.create(tmp_path) for _ in range(3)]
        assert len({folder.path for folder in folders}) == 3
        for folder in folders:
            folder.point_latest()
            assert latest_run(tmp_path) == folder.path.resolve()

    def test_where_links_are_not_allowed_a_file_names_the_latest(self, tmp_path, monkeypatch):
        def refuse(*args, **kwargs):
            raise OSError

        monkeypatch.setattr(Path, "symlink_to", refuse)
        for _ in range(2):
            folder = RunFolder.create(tmp_path)
            folder.point_latest()
            assert latest_run(tmp_path) == folder.path

    def test_the_run_record_grows(self, tmp_path):
        folder = RunFolder.create(tmp_path)
        folder.update(status="running")
        folder.update(status="finished", epochs=3)
        assert json.loads((folder.path / "run.json").read_text()) == {"status": "finished", "epochs": 3}

    def test_last_is_looked_for_in_the_latest_run_that_has_one(self, tmp_path):
        with pytest.raises(CheckpointError, match="but there is none"):
            find_checkpoint("last", tmp_path / "nowhere")
        with pytest.raises(CheckpointError, match="no checkpoint at"):
            find_checkpoint(str(tmp_path / "nowhere.ckpt"), tmp_path)
        first, second = RunFolder.create(tmp_path), RunFolder.create(tmp_path)
        first.checkpoints.mkdir()
        (first.checkpoints / "last.ckpt").write_bytes(b"x")
        second.point_latest()
        expected = (first.checkpoints / "last.ckpt").resolve()
        for resume in ("last", str(first.path), str(expected)):
            assert find_checkpoint(resume, tmp_path).resolve() == expected
        with pytest.raises(CheckpointError, match=r"best\.ckpt"):
            find_checkpoint("best", tmp_path)


class TestMetricsCsv:
    def test_one_row_per_step_with_columns_as_they_come(self, tmp_path):
        log = MetricsCsv(tmp_path / "metrics.csv")
        log.log_metrics({"epoch": 0, "ESR": 0.5}, 9)
        log.log_metrics({"epoch": 0, "train_loss": 1.5}, 9)
        log.log_metrics({"epoch": 1, "ESR": 0.25}, 19)
        assert (tmp_path / "metrics.csv").read_text() == (
            "epoch,step,ESR,train_loss\n0,9,0.5,1.5\n1,19,0.25,\n"
        )

    def test_a_resumed_log_repeats_nothing(self, tmp_path):
        (tmp_path / "old.csv").write_text("epoch,step,ESR\n0,9,0.5\n1,19,0.4\n2,29,0.3\n")
        log = MetricsCsv(tmp_path / "metrics.csv", tmp_path / "old.csv")
        log.log_metrics({"epoch": 1, "ESR": 0.4}, 19)
        assert (tmp_path / "metrics.csv").read_text() == "epoch,step,ESR\n0,9,0.5\n1,19,0.4\n"


def test_random_states_go_back_exactly_through_a_file(tmp_path):
    seed_everything(3)
    torch.randn(3), np.random.rand(2), random.gauss(0, 1), np.random.randn()  # noqa: NPY002
    torch.save({"state_dict": {}, "state": plain(get_random_state())}, tmp_path / "a.ckpt")
    before = torch.rand(4).tolist(), np.random.randn(3).tolist(), [random.gauss(0, 1) for _ in range(3)]  # noqa: NPY002
    set_random_state(load_checkpoint(tmp_path / "a.ckpt")["state"])
    after = torch.rand(4).tolist(), np.random.randn(3).tolist(), [random.gauss(0, 1) for _ in range(3)]  # noqa: NPY002
    assert before == after


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (61.4, "1:01"), (3661, "1:01:01"), (float("nan"), "–"), (-1, "–")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text
