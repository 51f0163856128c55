"""Regression: ``net(x, *conditions)`` is fitted to ``y``, sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from torch import Tensor

from nam_like.config.base import Config, PositiveInt
from nam_like.train.lightning_module import Batch, LightningModule
from nam_like.train.streaming import play

if TYPE_CHECKING:
    from nam_like.train.prepare import Job

__all__ = ["OPENING", "Regression", "RegressionConfig"]

#: Samples of each validation file that are played before training: more than the windows of any loss.
OPENING = 65_536


class Regression(LightningModule):
    """Supervised training on aligned pairs; batches are ``(x (B, nx+ny−1), *conditions, y (B, ny))``.

    Args:
        validation_chunk: output samples that a validation file is played in at a time.
        kwargs: see :class:`LightningModule`.
    """

    def __init__(self, *args: Any, validation_chunk: int = 65_536, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.validation_chunk = validation_chunk

    def predict_batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Prediction and target, both ``(B, ny)``."""
        x, *conditions, y = batch
        return self.net(x, *conditions, pad_start=False), y

    def predict_whole(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Prediction and target of whole files, in bounded memory where the net forgets."""
        x, *conditions, y = batch
        return play(self.net, x, *conditions, outputs=self.validation_chunk), y

    def rehearse(self, job: Job) -> None:
        """See :class:`LightningModule`."""
        from nam_like.train.rehearsal import rehearse_aligned

        rehearse_aligned(job)

    def opening(self, batch: Batch) -> Batch:
        """The first :data:`OPENING` target samples behind those that the loss leaves out."""
        *given, y = batch
        surplus = y.shape[-1] - self.objective.mask_first - OPENING
        if surplus <= 0:
            return batch
        # Audio and conditions that are aligned with it are longer than the target, all by the same past.
        cut = (part[..., :-surplus] if part.shape[-1] >= y.shape[-1] else part for part in given)
        return (*cut, y[..., :-surplus])


class RegressionConfig(Config):
    """Config of :class:`Regression`."""

    validation_chunk: PositiveInt = Field(
        65_536, description="output samples that a validation file is played in at a time (bounds the memory)"
    )

    def build(self, *args: Any, **context: Any) -> Regression:
        """Make the task of a net; `args` and `context` are those of the base class."""
        return Regression(*args, validation_chunk=self.validation_chunk, **context)
