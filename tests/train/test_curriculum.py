"""A curriculum in the loop: epochs of different lengths, schedules that know the end, exact resumption."""

import csv
import math

import pytest
import torch
from fakes import TinyNet, make_task, make_trainer, weights
from pytorch_lightning.callbacks import Callback
from test_resume import SignalAt, same_course

from nam_like.data.curriculum import Stage
from nam_like.data.loader import make_dataloader
from nam_like.data.paired import PairedDataset
from nam_like.train.callbacks.curriculum import EpochLengths, optimizer_steps
from nam_like.train.callbacks.stop import SignalFlag, StopOnSignal
from nam_like.train.errors import Interrupted

STAGES = (Stage(1, ny=16, batch_size=4), Stage(3, batch_size=5))
#: batches of the epochs: 388 outputs are 24, 12, 12, 12 items
LENGTHS = [6, 3, 3, 6]
ONE_CYCLE = {"scheduler": {"name": "OneCycleLR", "config": {"max_lr": 0.02}}, "interval": "step"}
PLATEAU = {
    "scheduler": {"name": "ReduceLROnPlateau", "config": {"patience": 0, "factor": 0.5, "threshold": 0.5}},
    "monitor": "val_loss",
}


def loaders():
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(392, generator=generator)
    dataset = PairedDataset(x, torch.tanh(x), nx=5, ny=32)
    options = {"batch_size": 2, "shuffle": True}
    train = make_dataloader(dataset, options, train=True, seed=3, stages=STAGES)
    whole = PairedDataset(x[:100], torch.tanh(x[:100]), nx=5, ny=None)
    return train, make_dataloader(whole, {}, train=False)


class Count(Callback):
    def __init__(self):
        self.batches, self.validations, self.sizes = {}, {}, {}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        epoch = trainer.current_epoch
        self.batches[epoch] = self.batches.get(epoch, 0) + 1
        self.sizes[epoch] = tuple(batch[1].shape)

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            epoch = trainer.current_epoch
            self.validations[epoch] = self.validations.get(epoch, 0) + 1


def fit(folder, task, resume=None, previous=None, callbacks=(), flag=None, at=None, **options):
    train, validation = loaders()
    lengths = EpochLengths(train.batches)
    trainer, checkpoints = make_trainer(folder, callbacks=[*callbacks, lengths], previous=previous, **options)
    if flag is not None:
        trainer.callbacks.insert(0, SignalAt(flag, at))
        trainer.callbacks.append(StopOnSignal(flag, checkpoints))
    trainer.fit(task, train, validation, ckpt_path=resume)
    return trainer, checkpoints


def test_each_epoch_is_as_long_as_its_stage_says(tmp_path):
    count = Count()
    trainer, _ = fit(tmp_path, make_task(net=TinyNet()), callbacks=[count])
    assert count.batches == dict(enumerate(LENGTHS))
    assert count.validations == dict.fromkeys(range(4), 1)
    assert [count.sizes[epoch] for epoch in (0, 1, 3)] == [(4, 16), (2, 32), (2, 32)]
    assert trainer.global_step == sum(LENGTHS)


def test_validations_within_an_epoch_follow_its_length(tmp_path):
    count = Count()
    fit(tmp_path, make_task(), callbacks=[count], val_check_interval=0.34)
    assert count.validations == {0: 3, 1: 3, 2: 3, 3: 3}


@pytest.mark.parametrize(
    ("options", "steps"), [({}, 18), ({"limit_train_batches": 4}, 14), ({"max_steps": 7}, 7)]
)
def test_a_schedule_knows_when_the_run_ends(tmp_path, options, steps):
    task = make_task(**ONE_CYCLE)
    trainer, _ = fit(tmp_path, task, **options)
    assert trainer.global_step == steps == optimizer_steps(trainer)
    schedule = trainer.lr_scheduler_configs[0].scheduler
    assert schedule.total_steps == steps


def test_accumulated_gradients_make_fewer_steps(tmp_path):
    trainer, _ = fit(tmp_path, make_task(), accumulate_grad_batches=2)
    assert optimizer_steps(trainer) == sum(math.ceil(length / 2) for length in LENGTHS) == trainer.global_step


@pytest.mark.parametrize("schedule", [{}, ONE_CYCLE, PLATEAU], ids=["none", "one_cycle", "plateau"])
@pytest.mark.parametrize("at", [0, 2, 5, 6, 8, 13])
def test_a_resumed_run_is_the_same_bit_by_bit(tmp_path, schedule, at):
    whole = make_task(**schedule)
    fit(tmp_path / "whole", whole)
    flag = SignalFlag()
    with pytest.raises(Interrupted):
        fit(tmp_path / "first", make_task(**schedule), flag=flag, at=at)
    folder = tmp_path / "first/checkpoints"
    second = make_task(**schedule)
    fit(tmp_path / "second", second, resume=folder / "last.ckpt", previous=folder)
    assert torch.equal(weights(whole), weights(second))
    epoch = next(e for e in range(4) if sum(LENGTHS[: e + 1]) > at)
    if epoch < 3:
        same_course(tmp_path / "whole/metrics.csv", tmp_path / "second/metrics.csv", epoch + 1)
    with (tmp_path / "second/metrics.csv").open() as file:
        assert next(row for row in csv.DictReader(file))["epoch"] == str(epoch)
