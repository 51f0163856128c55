"""A run with a schedule of steps: the rate of each step, and how many there are."""

import pytest
from fakes import fit, make_task
from pytorch_lightning.callbacks import Callback

from nam_like.train.callbacks.launches import StepsPerLaunch
from nam_like.train.callbacks.short_way import ShortWay
from nam_like.train.callbacks.unheard import Unheard

COSINE = {"name": "CosineAnnealing", "config": {"warmup_ratio": 0.25, "min_lr": 0.001}}


class Rates(Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.mark.parametrize("ours", [[], [StepsPerLaunch(), Unheard(), ShortWay()]], ids=["lightning", "short"])
def test_the_rate_falls_over_all_steps_of_the_run(tmp_path, ours):
    rates = Rates()
    task = make_task(lr=0.01, scheduler=COSINE, interval="step")
    trainer, _ = fit(tmp_path, task, callbacks=[rates, *ours], max_epochs=4, items=20)
    assert len(rates.seen) == trainer.global_step == 20
    assert trainer.lr_scheduler_configs[0].scheduler.max_steps == 20
    assert rates.seen[:6] == pytest.approx([0.01 * (n + 1) / 6 for n in range(6)])
    assert rates.seen[5:] == sorted(rates.seen[5:], reverse=True)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.001)
