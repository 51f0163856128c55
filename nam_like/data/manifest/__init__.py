"""Manifest datasets: examples of named signals whose files are listed one JSON object per line."""

from nam_like.data.manifest.config import ManifestDatasetConfig
from nam_like.data.manifest.dataset import ManifestDataset

__all__ = ["ManifestDataset", "ManifestDatasetConfig"]
