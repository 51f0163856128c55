"""``learning.json`` → ``curriculum``: other segment lengths and batch sizes in the first epochs.

    "curriculum": [{"until_epoch": 5, "ny": 2048, "batch_size": 32}, {"until_epoch": 12, "batch_size": 32}]

The first 5 epochs take segments of 2048 samples in batches of 32, the next 7 those of data.json in batches of
32, and all others are as data.json and ``train_dataloader`` say.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator
from typing_extensions import Self

from nam_like.config.base import Config, PositiveInt
from nam_like.config.lines import refusal

__all__ = ["StageConfig", "check_order"]


class StageConfig(Config):
    """The epochs before `until_epoch`, as far as no stage above has them."""

    until_epoch: PositiveInt = Field(description="how many epochs there have been when it ends (epochs)")
    ny: PositiveInt | None = Field(
        None, description="output samples per item in place of data.json's; null leaves it (samples)"
    )
    batch_size: PositiveInt | None = Field(
        None, description="items per step in place of train_dataloader's; null leaves it"
    )

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.ny is None and self.batch_size is None:
            raise refusal("expected `ny` or `batch_size`, but got neither: the stage would change nothing")
        return self


def check_order(stages: Sequence[StageConfig]) -> None:
    """Refuse stages that would end before they begin.

    Raises:
        ValidationError: at the stage.
    """
    for index, (stage, before) in enumerate(zip(stages[1:], stages, strict=False), start=1):
        if stage.until_epoch <= before.until_epoch:
            raise refusal(
                f"expected `until_epoch` to be more than the {before.until_epoch} of the stage before, "
                f"but got {stage.until_epoch}",
                (index, "until_epoch"),
                stage.until_epoch,
            )
