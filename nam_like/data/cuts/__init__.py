"""Lhotse cuts: manifests, archives and mixtures of them, with noise and rooms added online.

Lhotse is in the extra ``nam_like[speech]`` and is imported when a dataset is built.
"""

from nam_like.data.cuts.config import CutsDatasetConfig
from nam_like.data.cuts.dataset import CutsDataset
from nam_like.data.cuts.mixture import Mixture, MixtureRow
from nam_like.data.cuts.stream import CutsStream

__all__ = ["CutsDataset", "CutsDatasetConfig", "CutsStream", "Mixture", "MixtureRow"]
