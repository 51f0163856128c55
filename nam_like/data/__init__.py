"""Datasets: what a net is fitted to and judged by.

``register_dataset_initializer`` adds a kind of dataset by name, as plugins of the field do.
"""

from nam_like.data.base import AbstractDataset, BatchIndices, DataError, DatasetContext, HandshakeError
from nam_like.data.build import Datasets, build_datasets, init_dataset, register_dataset_initializer
from nam_like.data.concat import ConcatDataset
from nam_like.data.hooks import JointHook, NormalizeOutput
from nam_like.data.paired import PairedDataset
from nam_like.data.paired import PairedDataset as Dataset
from nam_like.data.samples import blocks
from nam_like.data.store import AudioSource, AudioStore

__all__ = [
    "AbstractDataset",
    "AudioSource",
    "AudioStore",
    "BatchIndices",
    "ConcatDataset",
    "DataError",
    "Dataset",
    "DatasetContext",
    "Datasets",
    "HandshakeError",
    "JointHook",
    "NormalizeOutput",
    "PairedDataset",
    "blocks",
    "build_datasets",
    "init_dataset",
    "register_dataset_initializer",
]
