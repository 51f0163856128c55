"""Tiny nets and data for the tests of training."""

import pytorch_lightning as pl
import torch
from torch import nn

from nam_like.config.component import component
from nam_like.data.loader import make_dataloader
from nam_like.losses.sum import WeightedSum
from nam_like.losses.time import MSE
from nam_like.optim.build import Schedule
from nam_like.train.callbacks.checkpoints import BestAndLast
from nam_like.train.checkpoints import SafeCheckpointIO
from nam_like.train.metrics_csv import MetricsCsv
from nam_like.train.random_state import seed_everything
from nam_like.train.tasks.regression import Regression


class TinyNet(nn.Module):
    """Two convolutions with a receptive field of 5, and dropout, so that generators matter."""

    receptive_field = 5
    sample_rate = None

    def __init__(self, dropout=0.1):
        super().__init__()
        self.first = nn.Conv1d(1, 4, 3)
        self.second = nn.Conv1d(4, 1, 3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, pad_start=False):
        if pad_start:
            x = nn.functional.pad(x, (4, 0))
        return self.second(self.dropout(torch.tanh(self.first(x[:, None]))))[:, 0]


class Pairs(torch.utils.data.Dataset):
    def __init__(self, items=12, ny=32, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(items, ny + 4, generator=generator)
        self.y = torch.tanh(2 * self.x[:, 4:]) + 0.3 * self.x[:, 2:-2]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


def make_task(lr=0.01, optimizer="Adam", scheduler=None, net=None, val_loss="esr", **schedule):
    seed_everything(7)
    spec = Schedule(component("lr_scheduler", scheduler), **schedule) if scheduler else None
    return Regression(
        net or TinyNet(),
        WeightedSum({"mse": (MSE(), 1.0), "pre": (MSE(0.85), 0.5)}),
        optimizer=component("optimizer", {"name": optimizer, "config": {"lr": lr}}),
        lr_scheduler=spec,
        val_loss=val_loss,
    )


def make_trainer(folder, max_epochs=4, callbacks=(), previous=None, top_k=3, **kwargs):
    checkpoints = BestAndLast(folder / "checkpoints", top_k=top_k, previous=previous)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=max_epochs,
        logger=[MetricsCsv(folder / "metrics.csv")],
        callbacks=[*callbacks, checkpoints],
        plugins=[SafeCheckpointIO()],
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        log_every_n_steps=1,
        **kwargs,
    )
    return trainer, checkpoints


def fit(folder, task, resume=None, batch_size=4, items=12, **kwargs):
    trainer, checkpoints = make_trainer(folder, **kwargs)
    train = make_dataloader(Pairs(items), {"batch_size": batch_size, "shuffle": True}, train=True, seed=3)
    validation = make_dataloader(Pairs(3, seed=1), {}, train=False)
    trainer.fit(task, train, validation, ckpt_path=resume)
    return trainer, checkpoints


def weights(task):
    return torch.cat([p.detach().flatten() for p in task.net.parameters()])
