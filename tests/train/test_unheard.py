"""Hooks that nobody listens to are not called; those of somebody are, as often as ever."""

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import nn

from nam_like.train.callbacks.unheard import HOOKS, NoProfiler, Unheard


class Listener(Callback):
    def __init__(self):
        self.heard = []

    def on_before_backward(self, trainer, pl_module, loss):
        self.heard.append("on_before_backward")

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.heard.append(f"on_train_batch_end {batch_idx}")


class Module(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.heard = 0

    def training_step(self, batch, batch_idx):
        return self.layer(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_after_backward(self):
        self.heard += 1


def test_only_empty_hooks_are_taken_and_all_come_back(tmp_path):
    module, listener, deaf, unheard = Module(), Listener(), Callback(), Unheard()
    during = {}

    class Spy(Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            for owner in (module, listener, deaf):
                during[owner] = {name for name in HOOKS if getattr(owner, name) is None}

    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        profiler=NoProfiler(),
        default_root_dir=tmp_path,
        callbacks=[listener, deaf, Spy(), unheard],
    )
    loader = torch.utils.data.DataLoader(torch.ones(3, 1), batch_size=1, num_workers=0)
    trainer.fit(module, loader)
    assert listener.heard == [
        line for index in range(3) for line in ("on_before_backward", f"on_train_batch_end {index}")
    ]
    assert module.heard == 3
    assert during[deaf] == set(HOOKS)
    assert set(HOOKS) - during[listener] == {"on_before_backward", "on_train_batch_end"}
    assert set(HOOKS) - during[module] == {"on_after_backward"}
    for owner in (module, listener, deaf):
        assert all(callable(getattr(owner, name)) for name in HOOKS)
