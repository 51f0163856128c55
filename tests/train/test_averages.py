"""Averages of the weights: what is validated and saved, and that training and resuming do not notice."""

import numpy as np
import pytest
import torch
from fakes import TinyNet, fit, make_task, make_trainer, weights
from pytorch_lightning.callbacks import Callback
from test_resume import SignalAt, same_course

from nam_like.data.loader import make_dataloader
from nam_like.train.callbacks.ema import Ema, decay_at
from nam_like.train.callbacks.evaluated import TRAINED, EvaluatedWeights
from nam_like.train.callbacks.stop import SignalFlag, StopOnSignal
from nam_like.train.checkpoints import RECORD, load_checkpoint
from nam_like.train.errors import Interrupted


class Watch(Callback):
    """Notes the weights after each step, and those that are validated."""

    def __init__(self):
        self.steps, self.validated = [], []

    def on_train_start(self, trainer, pl_module):
        self.steps.append(weights(pl_module).double().clone())

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.steps.append(weights(pl_module).double().clone())

    def on_validation_batch_end(self, trainer, pl_module, *args):
        if not trainer.sanity_checking:
            self.validated.append(weights(pl_module).clone())


def in_file(path, key="state_dict"):
    stored = load_checkpoint(path)[key]
    return torch.cat([stored[f"net.{name}"].flatten() for name, _ in TinyNet().named_parameters()])


@pytest.mark.parametrize("warm_up", [True, False])
def test_the_average_is_what_the_formula_says(tmp_path, warm_up):
    watch = Watch()
    task = make_task()
    fit(tmp_path, task, max_epochs=2, callbacks=[Ema(0.8, warm_up), watch])
    average = watch.steps[0].numpy()
    for step, now in enumerate(watch.steps[1:]):
        kept = min(0.8, (1 + step) / (10 + step)) if warm_up else 0.8
        average = kept * average + (1 - kept) * now.numpy()
    np.testing.assert_allclose(watch.validated[-1].double().numpy(), average, rtol=1e-5, atol=1e-7)
    assert torch.equal(in_file(tmp_path / "checkpoints/last.ckpt"), watch.validated[-1])
    assert torch.equal(in_file(tmp_path / "checkpoints/last.ckpt", TRAINED), weights(task))


def test_training_does_not_notice(tmp_path):
    plain = make_task()
    fit(tmp_path / "plain", plain)
    averaged = make_task()
    fit(tmp_path / "averaged", averaged, callbacks=[Ema(0.9)])
    assert torch.equal(weights(plain), weights(averaged))
    assert not torch.equal(weights(plain), in_file(tmp_path / "averaged/checkpoints/last.ckpt"))


def test_metrics_belong_to_the_weights_in_the_file(tmp_path):
    _, checkpoints = fit(tmp_path, make_task(), callbacks=[Ema(0.9)])
    for entry in checkpoints.ranking:
        path = checkpoints.folder / entry["name"]
        again = make_task()
        again.load_state_dict(load_checkpoint(path)["state_dict"])
        trainer, _ = make_trainer(tmp_path / "again")
        from fakes import Pairs

        trainer.validate(again, make_dataloader(Pairs(3, seed=1), {}, train=False), verbose=False)
        assert again.validated["ESR"] == load_checkpoint(path)[RECORD]["metrics"]["ESR"]


def test_with_accumulated_gradients_it_follows_the_optimizer_steps(tmp_path):
    ema = Ema(0.9)
    trainer, _ = fit(tmp_path, make_task(), max_epochs=2, callbacks=[ema], accumulate_grad_batches=2)
    assert ema.updates == trainer.global_step == 4


def test_the_decay_warms_up():
    assert decay_at(0, 0.999, True) == 0.1
    assert decay_at(90, 0.999, True) == 0.91
    assert decay_at(10**6, 0.999, True) == 0.999
    assert decay_at(0, 0.999, False) == 0.999


def options(kind):
    """The task and the callback of a kind of average."""
    optimizer = "ScheduleFreeAdamW" if kind == "schedule_free" else "Adam"
    return make_task(optimizer=optimizer), Ema(0.9) if kind == "ema" else EvaluatedWeights()


@pytest.mark.parametrize("kind", ["ema", "schedule_free"])
@pytest.mark.parametrize("at", [0, 4, 5])
def test_a_resumed_run_is_the_same_bit_by_bit(tmp_path, kind, at):
    whole, callback = options(kind)
    fit(tmp_path / "whole", whole, callbacks=[callback])

    first, callback = options(kind)
    flag = SignalFlag()
    trainer, checkpoints = make_trainer(tmp_path / "first", callbacks=[callback])
    trainer.callbacks.insert(0, SignalAt(flag, at))
    trainer.callbacks.append(StopOnSignal(flag, checkpoints))
    from fakes import Pairs

    train = make_dataloader(Pairs(12), {"batch_size": 4, "shuffle": True}, train=True, seed=3)
    with pytest.raises(Interrupted):
        trainer.fit(first, train, make_dataloader(Pairs(3, seed=1), {}, train=False))

    second, callback = options(kind)
    folder = checkpoints.folder
    fit(tmp_path / "second", second, resume=folder / "last.ckpt", previous=folder, callbacks=[callback])
    assert torch.equal(weights(whole), weights(second))
    last = "checkpoints/last.ckpt"
    assert torch.equal(in_file(tmp_path / "whole" / last), in_file(tmp_path / "second" / last))
    same_course(tmp_path / "whole/metrics.csv", tmp_path / "second/metrics.csv", at // 3 + 1)


@pytest.mark.parametrize("kind", ["ema", "schedule_free"])
def test_a_run_goes_on_beyond_its_end_as_if_it_had_been_longer(tmp_path, kind):
    whole, callback = options(kind)
    fit(tmp_path / "whole", whole, max_epochs=4, callbacks=[callback])
    first, callback = options(kind)
    fit(tmp_path / "first", first, max_epochs=2, callbacks=[callback])
    second, callback = options(kind)
    resume = tmp_path / "first/checkpoints/last.ckpt"
    fit(tmp_path / "second", second, max_epochs=4, resume=resume, callbacks=[callback])
    assert torch.equal(weights(whole), weights(second))


def test_schedule_free_saves_and_validates_its_averages(tmp_path):
    watch = Watch()
    task, callback = options("schedule_free")
    trainer, _ = fit(tmp_path, task, max_epochs=2, callbacks=[callback, watch])
    (optimizer,) = trainer.optimizers
    averages = torch.cat([average.flatten() for _, average in optimizer.averages()])
    assert torch.equal(watch.validated[-1], averages)
    assert torch.equal(in_file(tmp_path / "checkpoints/last.ckpt"), averages)
    assert not torch.equal(weights(task), averages)


def test_running_statistics_are_averaged_with_the_weights(tmp_path):
    class Normed(TinyNet):
        def __init__(self):
            super().__init__()
            self.first = torch.nn.Sequential(torch.nn.Conv1d(1, 4, 3), torch.nn.BatchNorm1d(4))

    task = make_task(net=Normed())
    fit(tmp_path, task, max_epochs=2, callbacks=[Ema(0.9)])
    stored = load_checkpoint(tmp_path / "checkpoints/last.ckpt")
    assert not torch.equal(stored["state_dict"]["net.first.1.running_mean"], task.net.first[1].running_mean)
    assert torch.equal(stored[TRAINED]["net.first.1.running_mean"], task.net.first[1].running_mean)
    assert int(stored["state_dict"]["net.first.1.num_batches_tracked"]) == 6
