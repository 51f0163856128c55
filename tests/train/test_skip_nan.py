"""Gradients that are NaN or infinite: with the callback a run survives them, without it it diverges."""

from __future__ import annotations

import logging

import pytest
import torch
from fakes import Pairs, TinyNet, make_task, make_trainer, weights
from torch import nn

from nam_like.data.loader import make_dataloader
from nam_like.train.callbacks.launches import StepsPerLaunch
from nam_like.train.callbacks.short_way import ShortWay
from nam_like.train.callbacks.skip_nan import SkipNanGradients, all_finite
from nam_like.train.callbacks.unheard import Unheard
from nam_like.train.errors import DivergedError


class Bad(Pairs):
    """One item is not a number, so that the gradients of one batch per epoch are none either."""

    def __init__(self, items=12, value=float("nan")):
        super().__init__(items)
        self.x[5, 7] = value


def ours():
    return [StepsPerLaunch(), Unheard(), ShortWay()]


def fit(folder, task, pairs, callbacks, resume=None, batch_size=4, **options):
    options.setdefault("max_epochs", 3)
    trainer, checkpoints = make_trainer(folder, callbacks=callbacks, **options)
    train = make_dataloader(pairs, {"batch_size": batch_size, "shuffle": True}, train=True, seed=3)
    trainer.fit(task, train, make_dataloader(Pairs(3, seed=1), {}, train=False), ckpt_path=resume)
    return trainer, checkpoints


@pytest.mark.parametrize("loop", [list, ours], ids=["lightning", "ours"])
@pytest.mark.parametrize("optimizer", ["Adam", "SGD", "ScheduleFreeAdamW"])
def test_a_run_survives_bad_batches_with_it_and_diverges_without(tmp_path, caplog, loop, optimizer):
    skip = SkipNanGradients()
    task = make_task(optimizer=optimizer, net=TinyNet(0.0))
    with caplog.at_level(logging.WARNING, "nam_like.train.callbacks.skip_nan"):
        trainer, _ = fit(tmp_path / "with", task, Bad(), [skip, *loop()], max_epochs=5)
    assert trainer.global_step == skip.passes == 15
    assert skip.skipped == 5
    assert torch.isfinite(weights(task)).all()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 4
    assert all("are NaN or infinite: all are set to zero" in message for message in said[:3])
    assert said[2].endswith("further ones are only counted")
    assert said[3] == "gradients were NaN or infinite, and set to zero, in 5 of 15 steps"
    with pytest.raises(DivergedError):
        fit(tmp_path / "without", make_task(optimizer=optimizer, net=TinyNet(0.0)), Bad(), loop())


def test_bad_steps_are_as_if_they_had_not_been(tmp_path):
    """SGD has no averages that would decay: the weights stay where they are."""
    skip, task = SkipNanGradients(), make_task(optimizer="SGD")
    before = weights(task).clone()
    fit(tmp_path, task, Bad(), [skip, *ours()], batch_size=12)
    assert skip.skipped == skip.passes == 3
    assert torch.equal(weights(task), before)


def test_a_clean_run_is_the_same_bit_by_bit_and_says_nothing(tmp_path, caplog):
    plain = make_task()
    fit(tmp_path / "plain", plain, Pairs(), [])
    watched, skip = make_task(), SkipNanGradients()
    fit(tmp_path / "watched", watched, Pairs(), [skip, *ours()])
    assert torch.equal(weights(plain), weights(watched))
    assert (skip.skipped, skip.passes) == (0, 9)
    assert not [record for record in caplog.records if "skip_nan" in record.name]


def test_the_queue_makes_way(tmp_path):
    class Queue(SkipNanGradients):
        seen = None

        def on_train_batch_end(self, trainer, pl_module, *args):
            self.seen = pl_module.queue, "advance" in vars(trainer.fit_loop.epoch_loop)

    skip = Queue()
    fit(tmp_path, make_task(), Pairs(), [skip, *ours()], max_epochs=1)
    assert skip.seen == (None, False)


def test_a_resumed_run_goes_on_counting(tmp_path):
    first, second = SkipNanGradients(), SkipNanGradients()
    _, checkpoints = fit(tmp_path / "a", make_task(), Bad(), [first, *ours()], max_epochs=2)
    fit(
        tmp_path / "b",
        make_task(),
        Bad(),
        [second, *ours()],
        resume=checkpoints.folder / "last.ckpt",
        previous=checkpoints.folder,
        max_epochs=3,
    )
    assert (first.skipped, second.skipped, second.passes) == (2, 3, 9)


def test_infinity_counts_and_large_numbers_do_not(tmp_path):
    finite = [torch.full((3,), 1e38), torch.zeros(2, 2)]
    assert all_finite(finite)
    assert all_finite([])
    for bad in (float("nan"), float("inf"), -float("inf")):
        assert not all_finite([*finite, torch.tensor([0.0, bad])])
        assert not all_finite([torch.tensor(bad, dtype=torch.bfloat16)])


def test_all_gradients_are_set_to_zero_not_only_the_bad_ones(tmp_path):
    class Spoilt(nn.Module):
        """The gradient of one weight alone is infinite."""

        receptive_field = 5
        sample_rate = None

        def __init__(self):
            super().__init__()
            self.inner = TinyNet(0.0)
            self.offset = nn.Parameter(torch.zeros(1))

        def forward(self, x, pad_start=False):
            return self.inner(x, pad_start) + 0.0 * self.offset.abs().sqrt()

    task, skip = make_task(optimizer="SGD", net=Spoilt()), SkipNanGradients()
    before = weights(task).clone()
    fit(tmp_path, task, Pairs(), [skip, *ours()], max_epochs=1)
    assert skip.skipped == 3
    assert torch.equal(weights(task), before)


def test_a_scaler_is_left_alone(tmp_path, caplog):
    skip = SkipNanGradients()

    class Plugin:
        scaler = object()

    class Trainer:
        precision_plugin = Plugin()
        precision = "16-mixed"
        is_global_zero = True
        global_step = 0

    module = nn.Linear(1, 1)
    module.weight.grad = torch.full((1, 1), float("nan"))
    skip.on_train_start(Trainer(), module)
    skip.on_after_backward(Trainer(), module)
    assert module.weight.grad.isnan().all()
    assert "without effect: trainer.precision 16-mixed" in caplog.text
