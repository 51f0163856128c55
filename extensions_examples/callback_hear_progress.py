"""A callback: every few epochs, a WAV of what the net makes of the beginning of the validation data.

"callbacks": [{"name": "HearProgress", "config": {"every": 10, "seconds": 4}}]
"""

from pathlib import Path

import pytorch_lightning as pl
import torch

from nam_like.audio.io import write_audio
from nam_like.registry import CALLBACKS


@CALLBACKS.register("HearProgress", summary="a WAV of the prediction every few epochs")
class HearProgress(pl.Callback):
    """Writes ``hear/epoch_<n>.wav`` into the folder of the run.

    Args:
        every: epochs between two files.
        seconds: length of the excerpt.
    """

    def __init__(self, every: int = 10, seconds: float = 4.0) -> None:
        if every < 1 or seconds <= 0:
            raise ValueError(f"expected `every` ≥ 1 and `seconds` > 0, but got {every} and {seconds}")
        self.every, self.seconds = every, seconds

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Play the excerpt through the net as it is now."""
        if (trainer.current_epoch + 1) % self.every or not trainer.is_global_zero:
            return
        dataset = trainer.val_dataloaders.dataset
        x, *conditions, _ = dataset[0]
        excerpt = x[: pl_module.net.receptive_field + int(self.seconds * dataset.sample_rate)]
        was_training = pl_module.net.training
        pl_module.net.eval()
        with torch.no_grad():
            batch = [tensor[None].to(pl_module.device) for tensor in (excerpt, *conditions)]
            played = pl_module.net(*batch, pad_start=False)[0].float().cpu().numpy()
        pl_module.net.train(was_training)
        path = Path(trainer.default_root_dir) / "hear" / f"epoch_{trainer.current_epoch + 1}.wav"
        path.parent.mkdir(exist_ok=True)
        write_audio(path, played, round(dataset.sample_rate))
