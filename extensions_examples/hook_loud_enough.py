"""A joint hook: looks at both splits before training, here to refuse recordings that are too quiet.

"joint": [{"name": "loud_enough", "config": {"least_peak_dbfs": -30}}]
"""

import math

from nam_like.data import AbstractDataset, blocks
from nam_like.errors import UserError
from nam_like.registry import HOOKS


@HOOKS.register("loud_enough", summary="refuse recordings that are too quiet")
class LoudEnough:
    """Refuses a wet recording whose peak is below a level.

    Args:
        least_peak_dbfs: the level (dB relative to full scale).
    """

    def __init__(self, least_peak_dbfs: float = -30.0) -> None:
        self.least_peak_dbfs = least_peak_dbfs

    def apply(self, train: AbstractDataset, validation: AbstractDataset) -> None:
        """Look at ``y`` of every recording of both splits.

        Raises:
            UserError: one is too quiet.
        """
        for name, split in (("train", train), ("validation", validation)):
            for dataset in split.base_datasets():
                peak = max(float(block.abs().max()) for block in blocks(dataset.y))
                level = 20 * math.log10(peak) if peak > 0 else -math.inf
                if level < self.least_peak_dbfs:
                    raise UserError(
                        f"{name}: expected y to peak at {self.least_peak_dbfs:g} dBFS or more, "
                        f"but got {level:.1f} dBFS"
                    )
