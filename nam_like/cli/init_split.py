"""Which part of a recording is for training: read from the recording, where it is there already."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias

from nam_like.errors import UserError

__all__ = ["NO_SIGNAL", "Split", "data_preset_for", "with_split"]

#: Sample numbers of `train` and `validation`, as data.json has them.
Split: TypeAlias = dict[str, dict[str, int]]

#: The data preset for recordings that are not our own signal.
NO_SIGNAL = "single_pair"
_DEFAULT = "default"


def data_preset_for(x_path: str, usual: str) -> tuple[str, Split | None]:
    """Which data preset goes with a recording.

    Args:
        x_path: the dry recording, which may not be there yet.
        usual: name of the preset's data JSON.

    Returns:
        The name of a data preset, and the sample numbers of the capture signal if that is what was recorded.
    """
    path = Path(x_path).expanduser()
    if usual != _DEFAULT or not path.is_file():
        return usual, None
    from nam_like.audio.capture_signal import recognised_split

    try:
        split = recognised_split(path)
    except UserError:  # what is wrong with it is told by the check, with all the rest
        return usual, None
    return (usual, split) if split is not None else (NO_SIGNAL, None)


def with_split(text: str, split: Split) -> str:
    """A data JSON, comments included, with the sample numbers of `split`.

    Raises:
        UserError: it has no such numbers.
    """
    for name, region in split.items():
        for key, value in region.items():
            pattern = rf'("{name}"\s*:\s*\{{[^{{}}]*?"{key}"\s*:\s*)-?\d+'
            text, count = re.subn(pattern, rf"\g<1>{value}", text, count=1)
            if not count:
                raise UserError(
                    f"expected the preset's data.json to have '{key}' in `{name}`, but it has none"
                )
    return text
