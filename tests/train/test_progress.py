"""What the user sees while training."""

import logging
import re

from fakes import fit, make_task

from nam_like.train.callbacks.progress import RunProgress


def run(tmp_path, progress):
    import pytorch_lightning as pl
    from fakes import Pairs, make_trainer

    from nam_like.data.loader import make_dataloader

    trainer, _ = make_trainer(tmp_path, max_epochs=3)
    trainer.callbacks.append(progress)
    assert isinstance(trainer, pl.Trainer)
    train = make_dataloader(Pairs(12), {"batch_size": 4}, train=True)
    trainer.fit(make_task(), train, make_dataloader(Pairs(3, seed=1), {}, train=False))
    return trainer


def test_one_line_per_validation_where_there_is_no_terminal(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="nam_like"):
        run(tmp_path, RunProgress(live=False))
    lines = [record.message for record in caplog.records if record.name.startswith("nam_like")]
    assert len(lines) == 3
    for index, line in enumerate(lines):
        assert line.startswith(f"epoch {index + 1}/3  step {3 * (index + 1)}")
        for name in ("train_loss", "val_mse", "val_loss", "ESR", "MSE", "best"):
            assert re.search(rf"{name} \d", line), (name, line)
        assert re.search(r"\d samples/s  left \d+:\d\d", line)
    assert lines[-1].endswith("left 0:00")


def test_a_validation_after_training_is_shown_too(tmp_path, caplog):
    progress = RunProgress(live=False)
    trainer = run(tmp_path, progress)
    with caplog.at_level(logging.INFO, logger="nam_like"):
        caplog.clear()  # training may have been logged too, if a test before set the level
        trainer.validate(trainer.lightning_module, trainer.val_dataloaders, verbose=False)
    (line,) = [record.message for record in caplog.records if record.name.startswith("nam_like")]
    assert line.endswith("left 0:00")


def test_the_live_bar_draws_and_goes_away(tmp_path, capsys):
    progress = RunProgress(live=True)
    run(tmp_path, progress)
    shown = capsys.readouterr().err
    assert "epoch 3/3" in shown
    assert "ESR" in shown
    assert progress._bar is None


def test_samples_are_counted(tmp_path):
    progress = RunProgress(live=False)
    progress.disable()
    run(tmp_path, progress)
    assert progress._samples == 3 * 12 * 32
    assert progress.samples_per_second > 0


def test_no_progress_is_no_output(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="nam_like"):
        fit(tmp_path, make_task(), max_epochs=1)
    assert not [record for record in caplog.records if record.name.startswith("nam_like")]
