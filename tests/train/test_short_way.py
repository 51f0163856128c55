"""The short way through a step: what comes out, and what callbacks see, is what Lightning's own way gives."""

import pytest
import torch
from fakes import Pairs, fit, make_task, make_trainer, weights
from pytorch_lightning.callbacks import Callback, LearningRateMonitor, StochasticWeightAveraging
from test_curriculum import ONE_CYCLE
from test_curriculum import fit as fit_stages
from test_launches import EXPONENTIAL, PLATEAU, rows, same_run

from nam_like.data.loader import make_dataloader
from nam_like.train.callbacks import short_way
from nam_like.train.callbacks.ema import Ema
from nam_like.train.callbacks.launches import StepsPerLaunch
from nam_like.train.callbacks.short_way import ShortWay
from nam_like.train.callbacks.stop import SignalFlag, StopOnSignal
from nam_like.train.callbacks.unheard import Unheard
from nam_like.train.checkpoints import load_checkpoint
from nam_like.train.errors import Interrupted

ON_STEPS = {**EXPONENTIAL, "interval": "step", "frequency": 2}


def ours(size=None):
    return [StepsPerLaunch(size), Unheard(), ShortWay()]


@pytest.fixture
def taken(monkeypatch):
    """How many batches went the short way."""
    numbers, train = [], short_way._Advance._train

    def counted(self, fetcher):
        train(self, fetcher)
        numbers.append(self.loop.batch_idx)

    monkeypatch.setattr(short_way._Advance, "_train", counted)
    return numbers


def both(tmp_path, callbacks=lambda: [], task=make_task, fit=fit, size=None, **options):
    """A run that goes Lightning's own way and one that goes the short way end alike."""
    plain = task()
    theirs, _ = fit(tmp_path / "plain", plain, callbacks=callbacks(), **options)
    queued = task()
    trainer, _ = fit(tmp_path / "queued", queued, callbacks=[*callbacks(), *ours(size)], **options)
    same_run(queued, plain, tmp_path)
    a, b = (load_checkpoint(tmp_path / name / "checkpoints/last.ckpt") for name in ("queued", "plain"))
    assert a["loops"] == b["loops"]
    assert trainer.global_step == theirs.global_step
    assert "advance" not in vars(trainer.fit_loop.epoch_loop)
    assert queued.queue is None
    return trainer


@pytest.mark.parametrize("size", [None, 3])
def test_weights_logs_counters_and_checkpoints_are_the_same(tmp_path, taken, size):
    assert both(tmp_path, max_epochs=3, items=26, size=size).global_step == len(taken) == 21


@pytest.mark.parametrize("optimizer", ["Adam", "ScheduleFreeAdamW", "SGD", "Muon"])
@pytest.mark.parametrize("schedule", [EXPONENTIAL, PLATEAU, ON_STEPS], ids=["exp", "plateau", "steps"])
def test_with_schedules(tmp_path, taken, schedule, optimizer):
    both(tmp_path, task=lambda: make_task(optimizer=optimizer, **schedule), max_epochs=2, items=26)
    assert len(taken) == 14


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_clip_val": 0.05},
        {"gradient_clip_val": 0.001, "gradient_clip_algorithm": "value"},
        {"val_check_interval": 0.34},
        {"check_val_every_n_epoch": 2},
        {"limit_train_batches": 5},
        {"max_steps": 10},
        {"precision": "bf16-mixed"},
        {"precision": "64-true"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_with_what_the_trainer_offers(tmp_path, taken, options):
    both(tmp_path, items=26, **{"max_epochs": 2, **options})
    assert taken


def test_averages_follow_each_step(tmp_path, taken):
    both(tmp_path, callbacks=lambda: [Ema(0.8)], max_epochs=2, items=26)
    assert len(taken) == 14


def test_batches_of_a_curriculum(tmp_path, taken):
    both(tmp_path, fit=fit_stages, task=lambda: make_task(**ONE_CYCLE))
    assert len(taken) == 18


class Watcher(Callback):
    """Notes everything that a callback may see between batches."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.seen.append((batch_idx, trainer.global_step, batch[0].sum().item(), weights(pl_module).tolist()))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        loss = outputs["loss"]
        assert not loss.requires_grad
        pl_module.log("seen_loss", loss)
        self.seen.append((batch_idx, trainer.global_step, loss.item(), weights(pl_module).tolist()))
        if trainer.global_step == 9:
            trainer.should_stop = True


def test_callbacks_see_the_same(tmp_path, taken):
    watchers = []

    def callbacks():
        watchers.append(Watcher())
        return [watchers[-1], LearningRateMonitor("step")]

    both(tmp_path, callbacks=callbacks, task=lambda: make_task(**ON_STEPS), max_epochs=2, items=26)
    assert len(taken) == 9
    assert watchers[0].seen == watchers[1].seen
    assert len(watchers[0].seen) == 18
    assert any(row.get("seen_loss") for row in rows(tmp_path / "queued"))


@pytest.mark.parametrize("at", [1, 5, 7])
def test_an_interrupted_run_goes_on_bit_by_bit(tmp_path, taken, at):
    """Begun the short way and resumed Lightning's own way, and the other way round."""
    whole = make_task()
    fit(tmp_path / "whole", whole, callbacks=[Ema(0.9)], items=26, max_epochs=2)
    for name, before, after in (("there", ours(), []), ("back", [], ours()), ("on", ours(), ours())):
        first, flag = make_task(), SignalFlag()
        trainer, checkpoints = make_trainer(tmp_path / name, callbacks=[Ema(0.9), *before], max_epochs=2)
        trainer.callbacks.append(StopOnSignal(flag, checkpoints))

        class Watched(Pairs):
            count = 0

            def __getitem__(self, index, flag=flag):
                type(self).count += 1
                if type(self).count == 4 * at - 3:
                    flag.received = "SIGTERM"
                return super().__getitem__(index)

        train = make_dataloader(Watched(26), {"batch_size": 4, "shuffle": True}, train=True, seed=3)
        with pytest.raises(Interrupted):
            trainer.fit(first, train, make_dataloader(Pairs(3, seed=1), {}, train=False))
        assert "advance" not in vars(trainer.fit_loop.epoch_loop)
        second, folder = make_task(), checkpoints.folder
        fit(
            tmp_path / f"{name} again",
            second,
            resume=folder / "last.ckpt",
            previous=folder,
            callbacks=[Ema(0.9), *after],
            items=26,
            max_epochs=2,
        )
        assert torch.equal(weights(whole), weights(second))
    assert taken


# -- when Lightning goes its own way ------------------------------------------------------------------


class Gradients(Callback):
    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        assert all(p.grad is not None for p in pl_module.net.parameters())


@pytest.mark.parametrize(
    ("callbacks", "options"),
    [
        (lambda: [Gradients()], {}),
        (list, {"accumulate_grad_batches": 2}),
        (lambda: [StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=1, annealing_epochs=1)], {}),
    ],
    ids=["gradients", "accumulation", "swa"],
)
@pytest.mark.filterwarnings("ignore:When using `Trainer.accumulate_grad_batches != 1.` and overriding")
@pytest.mark.filterwarnings("ignore:Swapping scheduler")
def test_what_is_done_within_a_step_is_left_to_lightning(tmp_path, taken, callbacks, options):
    both(tmp_path, callbacks=callbacks, max_epochs=3, items=26, **options)
    assert not taken


def test_a_step_that_is_changed_meanwhile_is_left_to_lightning(tmp_path, taken):
    class Changing(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 1:
                trainer.gradient_clip_val = 0.001

    both(tmp_path, callbacks=lambda: [Changing()], max_epochs=3, items=26)
    assert len(taken) == 7


def test_an_unknown_loop_is_left_alone(tmp_path, taken, monkeypatch):
    monkeypatch.setitem(short_way.NEEDED, "strategy", ("something_new",))
    both(tmp_path, max_epochs=1, items=26)
    assert not taken


def test_the_loop_gets_its_way_back_after_an_error(tmp_path):
    class Failing(Callback):
        def on_train_batch_end(self, trainer, *args):
            self.loop = trainer.fit_loop.epoch_loop
            assert "advance" in vars(self.loop)
            raise ValueError("wrong")

    failing = Failing()
    with pytest.raises(ValueError, match="wrong"):
        fit(tmp_path, make_task(), callbacks=[failing, *ours()])
    assert "advance" not in vars(failing.loop)
