"""Keys that people bring along from other tools, and where what they mean is said here."""

from __future__ import annotations

__all__ = ["ELSEWHERE"]

_LOADER = "belongs into learning.json: `train_dataloader` and `val_dataloader`"
_LHOTSE = "is not for manifests: the `type` of the data names the kind of source"

ELSEWHERE = {
    **dict.fromkeys(("batch_size", "shuffle", "num_workers", "pin_memory", "drop_last"), _LOADER),
    **dict.fromkeys(
        (
            "use_lhotse",
            "cuts_path",
            "shar_path",
            "input_cfg",
            "is_tarred",
            "tarred_audio_filepath",
            "tarred_audio_filepaths",
        ),
        _LHOTSE,
    ),
    "is_concat": "is not needed: a split that is a list joins its datasets",
    "truncate_duration": "is called `audio_duration` for manifests",
    "truncate_offset_type": "is called `random_offset`, true or false, for manifests",
    "normalize_input": "is a key of the net; to normalise examples, choose a `normalization_signal`",
    "channel_selector": "is called `input_channel_selector`, `target_channel_selector`, … for manifests",
}
"""Key to what is said about it, after its name."""
