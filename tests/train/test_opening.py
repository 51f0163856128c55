"""What is played of a validation file before training: its opening, and as a validation all of it."""

import pytest
import torch
from amp import load, write_capture

from nam_like.train import prepare
from nam_like.train.tasks import regression


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(regression, "OPENING", 1000)
    return prepare.prepare(load(write_capture(tmp_path)), tmp_path / "out")


def parts(job, length, past=6):
    return (
        torch.randn(2, length + past),
        torch.randn(2, 3),
        torch.randn(2, 3, length + past),
        torch.randn(2, length),
    )


def test_an_opening_is_aligned(job):
    batch = parts(job, 5000)
    cut = job.task.opening(batch)
    assert [part.shape[-1] for part in cut] == [1006, 3, 1006, 1000]
    for part, whole in zip(cut, batch, strict=True):
        torch.testing.assert_close(part, whole[..., : part.shape[-1]], rtol=0, atol=0)


def test_what_is_short_is_played_whole(job):
    batch = parts(job, 1000)
    assert job.task.opening(batch) is batch


def test_samples_that_the_loss_leaves_out_do_not_count(job):
    job.task.objective.mask_first = 200
    assert job.task.opening(parts(job, 5000))[-1].shape[-1] == 1200


def test_only_the_check_before_training_stops_there(job, tmp_path):
    import pytorch_lightning as pl

    lengths = []
    play = job.task.predict_whole

    def noted(batch):
        lengths.append((job.task.trainer.sanity_checking, batch[-1].shape[-1]))
        return play(batch)

    job.task.predict_whole = noted
    trainer = pl.Trainer(
        max_epochs=1, logger=False, accelerator="cpu", enable_progress_bar=False, enable_checkpointing=False
    )
    trainer.fit(job.task, job.train_loader, job.val_loader)
    whole = job.datasets.validation.batch(torch.zeros(1, dtype=torch.int64))[-1].shape[-1]
    assert whole > 1000
    assert lengths == [(True, 1000), (False, whole)]
