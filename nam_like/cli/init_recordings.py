"""What `nam_like init` reads from recordings that are there already: their parts and their delay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from nam_like.errors import UserError

if TYPE_CHECKING:
    from nam_like.audio.alignment import Alignment
    from nam_like.audio.capture_signal import SignalLayout

__all__ = ["NO_SIGNAL", "alignment_of", "data_preset_for", "with_delay", "with_split"]

#: The data preset for recordings that are not our own signal.
NO_SIGNAL = "single_pair"
_DEFAULT = "default"


def data_preset_for(x_path: str, usual: str) -> tuple[str, SignalLayout | None]:
    """Which data preset goes with a recording.

    Args:
        x_path: the dry recording, which may not be there yet.
        usual: name of the preset's data JSON.

    Returns:
        The name of a data preset, and the contents of the capture signal if that is what was recorded.
    """
    path = Path(x_path).expanduser()
    if usual != _DEFAULT or not path.is_file():
        return usual, None
    from nam_like.audio.capture_signal import recognised

    try:
        layout = recognised(path)
    except UserError:  # what is wrong with it is told by the check, with all the rest
        return usual, None
    return (usual, layout) if layout is not None else (NO_SIGNAL, None)


def alignment_of(x_path: str | None, y_path: str | None, layout: SignalLayout | None) -> Alignment | None:
    """How the recordings lie to each other; None where they are not there yet, or cannot be compared."""
    if x_path is None or y_path is None:
        return None
    x, y = Path(x_path).expanduser(), Path(y_path).expanduser()
    if not (x.is_file() and y.is_file()):
        return None
    from nam_like.audio.alignment import measure_alignment

    try:
        return measure_alignment(x, y, layout)
    except UserError:  # told by the check
        return None


def with_split(text: str, split: dict[str, dict[str, int]]) -> str:
    """A data JSON, comments included, with the sample numbers of `split`.

    Raises:
        UserError: it has no such numbers.
    """
    for name, region in split.items():
        for key, value in region.items():
            text = _with_number(text, rf'"{name}"\s*:\s*\{{[^{{}}]*?"{key}"', value)
    return text


def with_delay(text: str, delay: int) -> str:
    """A data JSON, comments included, with another `delay`.

    Raises:
        UserError: it has none.
    """
    return _with_number(text, '"delay"', delay)


def _with_number(text: str, before: str, value: int) -> str:
    text, count = re.subn(rf"({before}\s*:\s*)-?\d+", rf"\g<1>{value}", text, count=1)
    if not count:
        raise UserError(f"expected the preset's data.json to have a number at {before}, but it has none")
    return text
