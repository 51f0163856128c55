"""Keep the best, the last and the top-k checkpoints, each ranked by the metric of exactly its weights.

They are written when a validation ends, whatever starts it, because only then the metric belongs to the
weights.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from nam_like.train.checkpoints import RECORD, load_checkpoint

__all__ = ["BestAndLast"]


class BestAndLast(Checkpoint):
    """Writes checkpoints when a validation ends.

    ``last.ckpt`` at each, ``best.ckpt`` when the monitored value is the least so far, and
    ``epoch-0003_step-312_ESR-1.234e-02.ckpt`` for the `top_k` least.

    Args:
        folder: where; created with the first file.
        top_k: how many named checkpoints are kept.
        monitor: the value they are ranked by; smaller is better.
        previous: the folder of the run that is resumed, whose ranked checkpoints are taken over.
    """

    def __init__(
        self, folder: Path, top_k: int = 3, monitor: str = "val_loss", previous: Path | None = None
    ) -> None:
        super().__init__()
        self.folder = folder
        self.top_k = top_k
        self.monitor = monitor
        self.previous = previous
        #: The best first: ``{"score", "name", "epoch", "step", "metrics"}``; position 0 is best.ckpt.
        self.ranking: list[dict[str, Any]] = []
        self._validated_since_epoch = False

    @property
    def state_key(self) -> str:
        """Lightning keys the state by this; it must not depend on the folder."""
        return "nam_like.BestAndLast"

    @property
    def best(self) -> Path:
        """The checkpoint of the least value."""
        return self.folder / "best.ckpt"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "last.ckpt"

    def state_dict(self) -> dict[str, Any]:
        """The ranking, for a resumed run."""
        return {"ranking": [dict(entry) for entry in self.ranking]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the ranking of the run that is resumed."""
        self.ranking = [dict(entry) for entry in state_dict["ranking"]]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Bring the ranked files of the resumed run here; what is no longer there is forgotten."""
        if self.previous is None or not self.ranking:
            return
        best = self.previous / "best.ckpt"
        if _is_of(best, self.ranking[0]):
            if trainer.is_global_zero:
                _link(best, self.best)
        else:  # resumed from elsewhere, or the folder has moved on: the best so far is not ours to export
            self.ranking = []
        if trainer.is_global_zero:
            for entry in self.ranking[: self.top_k]:
                if (self.previous / entry["name"]).is_file():
                    _link(self.previous / entry["name"], self.folder / entry["name"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Rank the weights that were just validated and write them."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        self._validated_since_epoch = True
        self.rank(trainer, pl_module)

    def rank(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the present weights, which were just validated, and give them their place."""
        # What the task validated just now; the trainer's collection also holds values of earlier weights.
        values = getattr(pl_module, "validated", None)
        if values is None or self.monitor not in values:
            values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        score = values.get(self.monitor, math.inf)
        entry = {
            "score": score if math.isfinite(score) else math.inf,
            "name": self._name(trainer, values),
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "metrics": {name: value for name, value in values.items() if math.isfinite(value)},
        }
        before = self.ranking
        is_best = not before or entry["score"] < before[0]["score"]
        ranked = sorted([*before, entry], key=lambda item: item["score"])  # stable: of two equals the earlier
        self.ranking = ranked[: max(self.top_k, 1)]
        self.save_last(trainer)
        if trainer.is_global_zero:
            self._file(entry, before, is_best)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write last.ckpt at the end of an epoch that had no validation."""
        if not self._validated_since_epoch:
            self.save_last(trainer)
        self._validated_since_epoch = False

    def save_last(self, trainer: pl.Trainer) -> None:
        """Write last.ckpt; called in all processes."""
        trainer.save_checkpoint(self.last)

    def _file(self, entry: dict[str, Any], before: list[dict[str, Any]], is_best: bool) -> None:
        """Give the file just written its further names, and remove those that fell out of the ranking."""
        if is_best:
            _link(self.last, self.best)
        kept = {item["name"] for item in self.ranking} if self.top_k else set()
        if entry["name"] in kept:
            _link(self.last, self.folder / entry["name"])
        for item in before:
            if item["name"] not in kept:
                (self.folder / item["name"]).unlink(missing_ok=True)

    def _name(self, trainer: pl.Trainer, values: dict[str, float]) -> str:
        metrics = "".join(f"_{name}-{values[name]:.3e}" for name in ("ESR", "MSE") if name in values)
        return f"epoch-{trainer.current_epoch:04d}_step-{trainer.global_step}{metrics}.ckpt"


def _is_of(path: Path, entry: dict[str, Any]) -> bool:
    """Whether a checkpoint file is the one that a ranking entry speaks of."""
    if not path.is_file():
        return False
    checkpoint = load_checkpoint(path)
    return RECORD in checkpoint and checkpoint.get("global_step") == entry["step"]


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, atomically; a copy where the file system has no hard links.

    The source is never written to again: last.ckpt is replaced, not changed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    try:
        temporary.replace(target)
    finally:
        # Renaming one name of a file onto another name of it does nothing and leaves both.
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
