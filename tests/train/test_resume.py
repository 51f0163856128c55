"""A resumed run reaches the weights of an uninterrupted one, bit by bit, wherever it was stopped."""

import csv

import pytest
import torch
from fakes import fit, make_task, weights
from pytorch_lightning.callbacks import Callback

from nam_like.train.callbacks.stop import SignalFlag, StopOnSignal
from nam_like.train.checkpoints import RECORD, load_checkpoint
from nam_like.train.errors import Interrupted

PLATEAU = {
    "scheduler": {"name": "ReduceLROnPlateau", "config": {"patience": 0, "factor": 0.5, "threshold": 0.5}},
    "monitor": "val_loss",
}
EXPONENTIAL = {"scheduler": {"name": "ExponentialLR", "config": {"gamma": 0.8}}}
PER_STEP = {"scheduler": {"name": "OneCycleLR", "config": {"max_lr": 0.02}}, "interval": "step"}


class SignalAt(Callback):
    """Raises the flag in the given training batch (counted over the whole run)."""

    def __init__(self, flag, batch):
        self.flag, self.batch, self.count = flag, batch, 0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if self.count == self.batch:
            self.flag.received = "SIGTERM"
        self.count += 1


def interrupted(folder, task, at, **kwargs):
    """Train until the signal and return the folder of the checkpoints."""
    from fakes import Pairs, make_trainer

    from nam_like.data.loader import make_dataloader

    flag = SignalFlag()
    trainer, checkpoints = make_trainer(folder, **kwargs)
    trainer.callbacks.insert(0, SignalAt(flag, at))
    trainer.callbacks.append(StopOnSignal(flag, checkpoints))
    train = make_dataloader(Pairs(12), {"batch_size": 4, "shuffle": True}, train=True, seed=3)
    with pytest.raises(Interrupted):
        trainer.fit(task, train, make_dataloader(Pairs(3, seed=1), {}, train=False))
    return checkpoints.folder


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def same_course(a, b, first_epoch):
    """The rows from an epoch on are equal."""
    ours, theirs = ([row for row in rows(p) if int(row["epoch"]) >= first_epoch] for p in (a, b))
    assert ours == theirs
    assert ours


@pytest.mark.parametrize(
    "schedule", [{}, EXPONENTIAL, PLATEAU, PER_STEP], ids=["none", "exp", "plateau", "step"]
)
@pytest.mark.parametrize("at", [0, 4, 5], ids=lambda at: f"batch{at}")
def test_after_a_signal_in_any_batch(tmp_path, schedule, at):
    whole = make_task(**schedule)
    fit(tmp_path / "whole", whole)
    folder = interrupted(tmp_path / "first", make_task(**schedule), at)
    resumed = make_task(**schedule)
    torch.rand(17)  # the generators of the second process are elsewhere
    fit(tmp_path / "second", resumed, resume=folder / "last.ckpt", previous=folder)
    assert torch.equal(weights(whole), weights(resumed))
    same_course(tmp_path / "whole/metrics.csv", tmp_path / "second/metrics.csv", at // 3 + 1)


@pytest.mark.parametrize("schedule", [{}, PLATEAU], ids=["none", "plateau"])
@pytest.mark.parametrize("at", [4, 9], ids=lambda at: f"batch{at}")
def test_with_validations_within_the_epoch(tmp_path, schedule, at):
    options = {"val_check_interval": 0.34}  # after every batch of three
    whole = make_task(**schedule)
    fit(tmp_path / "whole", whole, **options)
    folder = interrupted(tmp_path / "first", make_task(**schedule), at, **options)
    resumed = make_task(**schedule)
    fit(tmp_path / "second", resumed, resume=folder / "last.ckpt", **options)
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("at", [0, 4])
def test_while_gradients_are_accumulated(tmp_path, at):
    options = {"accumulate_grad_batches": 2, "val_check_interval": 0.34}
    whole = make_task()
    fit(tmp_path / "whole", whole, **options)
    folder = interrupted(tmp_path / "first", make_task(), at, **options)
    resumed = make_task()
    fit(tmp_path / "second", resumed, resume=folder / "last.ckpt", **options)
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize(
    "schedule", [{}, EXPONENTIAL, PLATEAU, PER_STEP], ids=["none", "exp", "plateau", "step"]
)
@pytest.mark.parametrize("options", [{}, {"check_val_every_n_epoch": 3}], ids=["validated", "not_validated"])
def test_after_a_finished_epoch(tmp_path, schedule, options):
    if schedule is PLATEAU and options:
        options = options | {"check_val_every_n_epoch": 1}
    whole = make_task(**schedule)
    fit(tmp_path / "whole", whole, **options)

    class StopThere(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 2:
                raise RuntimeError

    first = make_task(**schedule)
    with pytest.raises(RuntimeError):
        fit(tmp_path / "first", first, callbacks=[StopThere()], **options)
    resumed = make_task(**schedule)
    fit(tmp_path / "second", resumed, resume=tmp_path / "first/checkpoints/last.ckpt", **options)
    assert torch.equal(weights(whole), weights(resumed))
    same_course(tmp_path / "whole/metrics.csv", tmp_path / "second/metrics.csv", 2)


def test_with_more_epochs_than_before(tmp_path):
    whole = make_task()
    fit(tmp_path / "whole", whole, max_epochs=4)
    fit(tmp_path / "first", make_task(), max_epochs=2)
    resumed = make_task()
    previous = tmp_path / "first/checkpoints"
    _, checkpoints = fit(
        tmp_path / "second", resumed, max_epochs=4, resume=previous / "last.ckpt", previous=previous
    )
    assert torch.equal(weights(whole), weights(resumed))
    assert [entry["epoch"] for entry in checkpoints.ranking] == [3, 2, 1]
    assert (checkpoints.folder / checkpoints.ranking[2]["name"]).is_file()


def test_the_best_so_far_of_the_resumed_run_stays_the_best(tmp_path):
    fit(tmp_path / "first", make_task(lr=0.01), max_epochs=2)
    previous = tmp_path / "first/checkpoints"
    diverging = make_task(lr=0.01)
    trainer_options = {"max_epochs": 3, "resume": previous / "last.ckpt", "previous": previous}

    class Spoil(Callback):
        def on_train_batch_end(self, trainer, pl_module, *args):
            with torch.no_grad():
                pl_module.net.second.bias.add_(3.0)

    _, checkpoints = fit(tmp_path / "second", diverging, callbacks=[Spoil()], **trainer_options)
    assert checkpoints.ranking[0]["epoch"] == 1
    assert load_checkpoint(checkpoints.best)["global_step"] == 6
    assert load_checkpoint(checkpoints.last)["global_step"] == 9


def test_a_checkpoint_knows_the_metrics_of_its_weights_and_is_plain(tmp_path):
    task = make_task()
    task.record = {"configs": {"model": {"net": {"name": "X"}}}, "seed": 7}
    _, checkpoints = fit(tmp_path, task)
    record = load_checkpoint(checkpoints.best)[RECORD]
    assert record["seed"] == 7
    assert record["metrics"]["val_loss"] == checkpoints.ranking[0]["score"]
