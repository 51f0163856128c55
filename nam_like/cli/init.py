"""Write three commented JSONs of a preset into a folder, ready to edit. Needs no PyTorch."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from nam_like.cli.console import DONE, table
from nam_like.cli.init_recordings import (
    NO_SIGNAL,
    alignment_of,
    data_preset_for,
    with_delay,
    with_split,
)
from nam_like.errors import UserError
from nam_like.presets import KINDS, Preset, find_preset, preset_names, schema_file

if TYPE_CHECKING:
    from nam_like.audio.capture_signal import SignalLayout

EXAMPLES = """examples:
  nam_like init --list
  nam_like init amp/a1_standard my_amp
  nam_like init lstm_1x16 my_amp --x dry.wav --y wet.wav --learning cpu
  nam_like init mask_rnn my_enhancer --train train.json --validation val.json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "preset", nargs="?", help="family/name of a preset; the name is enough where it is unique"
    )
    parser.add_argument("folder", nargs="?", help="where data.json, model.json and learning.json go")
    parser.add_argument("--list", action="store_true", help="list the presets and stop")
    parser.add_argument("--x", metavar="DRY", help="the dry recording, to be named in data.json")
    parser.add_argument("--y", metavar="WET", help="the wet recording, to be named in data.json")
    parser.add_argument("--train", metavar="MANIFEST", help="the training manifest, to be named in data.json")
    parser.add_argument("--validation", metavar="MANIFEST", help="the same for validation")
    parser.add_argument(
        "--data", metavar="NAME", help="another data preset of the family, as in --data two_pairs"
    )
    parser.add_argument("--learning", metavar="NAME", help="another learning preset, as in --learning cpu")
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")


def run(arguments: argparse.Namespace) -> int:
    """Copy the files of the preset, comments included."""
    from nam_like.files import write_text_atomic

    if arguments.list:
        print(table([(name, find_preset(name).summary) for name in preset_names()]))
        return DONE
    if not arguments.preset or not arguments.folder:
        raise UserError("expected a preset and a folder, as in: nam_like init amp/wavenet my_amp")
    folder = Path(arguments.folder)
    preset, layout = _chosen(arguments)
    texts = {folder / f"{kind}.json": getattr(preset, kind).read_text(encoding="utf-8") for kind in KINDS}
    data = folder / "data.json"
    texts[data], notes = _filled(texts[data], arguments, layout)
    texts = {path: _with_local_schema(text, path.stem) for path, text in texts.items()}
    for kind in KINDS:
        if schema_file(kind).is_file():
            texts[folder / "schema" / schema_file(kind).name] = schema_file(kind).read_text(encoding="utf-8")
    existing = [str(path) for path in texts if path.exists() and path.parent == folder]
    if existing and not arguments.force:
        raise UserError(f"expected a folder without these files (or --force), but got {', '.join(existing)}")
    for path, text in texts.items():
        write_text_atomic(path, text)
    if preset.data.stem == NO_SIGNAL and arguments.data is None:
        print(f"{arguments.x} is a recording of your own: its last nine seconds are for validation")
    for note in notes:
        print(note)
    names = " ".join(str(folder / f"{kind}.json") for kind in KINDS)
    print(f"wrote {preset.name} into {folder}; next:\n  nam_like check {names}\n  nam_full {names} out")
    return DONE


def _chosen(arguments: argparse.Namespace) -> tuple[Preset, SignalLayout | None]:
    """The preset, and the contents of the recorded signal, if it is our own."""
    preset = find_preset(arguments.preset, data=arguments.data, learning=arguments.learning)
    fallback = preset.data.parent / f"{NO_SIGNAL}.json"
    if arguments.x is None or arguments.data is not None or not fallback.is_file():
        return preset, None
    name, layout = data_preset_for(arguments.x, preset.data.stem)
    return find_preset(preset.name, data=name, learning=arguments.learning), layout


def _filled(
    text: str, arguments: argparse.Namespace, layout: SignalLayout | None
) -> tuple[str, tuple[str, ...]]:
    """A data JSON that names the recordings or manifests of the command line; and what was found in them."""
    for key, value in (("x_path", arguments.x), ("y_path", arguments.y)):
        if value is not None:
            text = _with_path(text, key, value)
    for section in ("train", "validation"):
        value = getattr(arguments, section)
        if value is not None:
            text = _with_path(text, "manifest_filepath", value, section)
    if layout is not None:
        from nam_like.audio.capture_signal import split_for

        text = with_split(text, split_for(layout))
    found = alignment_of(arguments.x, arguments.y, layout)
    if found is None:
        return text, ()
    return with_delay(text, found.delay), (*found.notes, f"`delay` in data.json is {found.delay}")


def _with_path(text: str, key: str, value: str, split: str = "") -> str:
    """`text` with the values of `key` replaced; where a split is named, the first one in that.

    Raises:
        UserError: the data JSON of the preset has no such key.
    """
    import json

    before = rf'"{split}"\s*:\s*\{{[^{{}}]*?' if split else ""
    pattern = re.compile(rf'({before}"{key}"\s*:\s*)"(?:[^"\\]|\\.)*"')
    changed, count = pattern.subn(lambda match: match[1] + json.dumps(value, ensure_ascii=False), text)
    if not count:
        where = f"'{key}' in `{split}`" if split else f"'{key}'"
        raise UserError(
            f"expected the preset's data.json to have {where}, but it has none: leave the option out"
        )
    return changed


def _with_local_schema(text: str, kind: str) -> str:
    """`text` with ``$schema`` naming the copy that is written beside it, for completion in editors."""
    local = f"./schema/{kind}.schema.json"
    changed, count = re.subn(r'("\$schema"\s*:\s*)"[^"]*"', rf'\1"{local}"', text, count=1)
    return (
        changed
        if count
        else re.sub(r"^\{[ \t]*$", f'{{\n  "$schema": "{local}",', text, count=1, flags=re.MULTILINE)
    )
