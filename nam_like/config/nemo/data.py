"""``train_ds``, ``validation_ds`` and ``test_ds`` → data JSONs, and what the loaders are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nam_like.config.component import SPELLINGS
from nam_like.config.errors import dotted
from nam_like.config.locate import Loc
from nam_like.config.nemo.draft import Draft
from nam_like.config.nemo.section import Section
from nam_like.config.nemo.source import MISSING

__all__ = ["RATE", "Loading", "draft_data", "read_split"]

#: Hz, where the file does not say
RATE = 16000
LOADER = ("batch_size", "shuffle", "num_workers", "pin_memory", "drop_last")
#: what both splits usually share, and is then written once
_SHARED = (
    "input_key",
    "target_key",
    "input_channel_selector",
    "target_channel_selector",
    "reference_channel_selector",
)
_SOURCES = ("cuts_path", "shar_path", "input_cfg", "manifest_filepath")
#: what names a component in our notation, and would be read as such
_NAMING = {*SPELLINGS, *(holder for holders in SPELLINGS.values() for holder in holders)}
#: what only says how NeMo wraps a sampler
_WRAPPING = ("concurrent_bucketing", "sampler_fusion", "sampler_weights", "multi_config")
#: type of an item of input_cfg → the key that names what it reads
_ITEM_SOURCES = {
    "lhotse": "cuts_path",
    "lhotse_shar": "shar_path",
    "nemo": "manifest_filepath",
    "nemo_tarred": "manifest_filepath",
}


@dataclass
class Loading:
    """One split: its dataset, and what the loader is told.

    Attributes:
        kind: ``manifest`` or ``cuts``.
        path: of the split in the YAML file.
        keys: of the dataset.
        loader: arguments of the loader.
        streamed: whether it never ends.
    """

    kind: str
    path: Loc
    keys: dict[str, Any] = field(default_factory=dict)
    loader: dict[str, Any] = field(default_factory=dict)
    streamed: bool = False


def read_split(split: Section, rate: Any) -> Loading:
    """Take a split apart.

    Args:
        split: such as ``train_ds``.
        rate: the model's sample rate, with which its own must agree.
    """
    lhotse = split.take("use_lhotse", bool, False) or any(
        key in split for key in _SOURCES if key != "manifest_filepath"
    )
    loading = Loading("cuts" if lhotse else "manifest", split.path)
    own = split.take("sample_rate", (int, float), rate)
    if own != rate:
        split.refuse("sample_rate", f"expected the model's sample_rate, {rate}, but got {own}")
    for key in LOADER:
        value = split.raw(key)
        if value is not None:
            loading.loader[key] = value
    for key in ("is_tarred", "is_concat"):
        if split.take(key, bool, False):
            split.refuse(key, "expected tarred and concatenated data as items of `input_cfg`, but got true")
    split.leave_out("normalize_input", why="NeMo does not read it here; `normalization_signal` does this")
    split.leave_out("batch_augmentor", "metadata_only", "manifest_file_type")
    split.leave_out(*_WRAPPING, why="how NeMo wraps its sampler")
    split.leave_out("name")
    for key in set(split.remaining()) & _NAMING:
        split.refuse(key, f"expected a key of a NeMo dataset, but got '{key}'", unknown=True)
        split.raw(key)
    for key in split.remaining():  # the dataset's own config knows which of them there are
        value = split.raw(key)
        if value is not None or key.endswith(("_key", "_selector")):
            loading.keys[key] = value
    _fill_sources(split, loading)
    return loading


def _fill_sources(split: Section, loading: Loading) -> None:
    if not any(key in loading.keys for key in _SOURCES):
        key = "cuts_path" if loading.kind == "cuts" else "manifest_filepath"
        loading.keys = {key: MISSING, **loading.keys}
    items = loading.keys.get("input_cfg")
    loading.streamed = any(key in loading.keys for key in ("input_cfg", "shar_path"))
    if isinstance(items, list):
        loading.keys["input_cfg"] = _with_sources(split, items, (*loading.path, "input_cfg"))


def _with_sources(split: Section, items: list[Any], at: Loc) -> list[Any]:
    """The items of ``input_cfg``, each with the key that names what it reads."""
    made = []
    for index, item in enumerate(items):
        found = dict(item) if isinstance(item, dict) else item
        if isinstance(found, dict):
            key = _ITEM_SOURCES.get(str(found.get("type")), "")
            if isinstance(found.get("input_cfg"), list):
                found["input_cfg"] = _with_sources(split, found["input_cfg"], (*at, index, "input_cfg"))
            elif key and found.get(key) is None:
                found[key] = MISSING
                split.findings.filled.append(f"{dotted((*at, index, key))}: it has none")
        made.append(found)
    return made


def draft_data(
    train: Loading | None, validation: Loading | None, rate: Any, rate_at: Loc | None, split: Section
) -> Draft:
    """A data JSON.

    Args:
        train: the training split, or None.
        validation: what the net is judged by, or None.
        rate: sample rate (Hz), or a reference.
        rate_at: where it stands; None for our default.
        split: a section of the file, for the notes.
    """
    findings = split.findings
    if train is None:
        train = _placeholder(validation, ("model", "train_ds"))
        findings.filled.append("train_ds: a placeholder")
    if validation is None:
        validation = _placeholder(train, ("model", "validation_ds"))
        findings.filled.append("validation_ds: a placeholder")
    draft = Draft("data")
    alike = train.kind == validation.kind
    if alike:
        draft.put(("type",), train.kind)
    draft.put(("common", "sample_rate"), rate, rate_at, "" if rate_at else "NeMo's default")
    shared = [
        key
        for key in _SHARED
        if alike and key in train.keys and train.keys[key] == validation.keys.get(key, MISSING)
    ]
    for key in shared:
        draft.put(("common", key), train.keys[key], (*train.path, key), f"and {validation.path[-1]}")
    for name, loading in (("train", train), ("validation", validation)):
        own = {} if alike else {"type": loading.kind}
        own |= {key: item for key, item in loading.keys.items() if key not in shared}
        paths = own.get("manifest_filepath")
        if name == "validation" and isinstance(paths, list) and len(paths) > 1:
            several = [{**own, "manifest_filepath": path} for path in paths]
            draft.put((name,), several, loading.path, "one by one, as NeMo does")
        else:
            draft.put((name,), own, loading.path)
    return draft


def _placeholder(other: Loading | None, path: Loc) -> Loading:
    """A split that is not there, like the other one."""
    if other is None or other.kind == "manifest":
        keys = {"manifest_filepath": MISSING}
        keys |= {key: other.keys[key] for key in _SHARED if other is not None and key in other.keys}
        return Loading("manifest", path, keys)
    return Loading("cuts", path, {"cuts_path": MISSING})
