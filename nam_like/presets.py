"""The configurations that ship with the package: ``configs/``, or ``nam_like/configs/`` in a wheel."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from nam_like.errors import UserError
from nam_like.registry import did_you_mean

__all__ = ["KINDS", "Preset", "configs_dir", "find_preset", "preset_names", "schema_file"]

KINDS = ("data", "model", "learning")
_DEFAULT = "default"
#: Learning JSONs other than the default, and the names of the models that go with them.
_RECIPES = {
    "classic": ("conditioned",),
    "lstm": ("lstm_*",),
    "cpu": ("beamformer", "dereverb", "mask_rnn", "mask_rnn_causal", "ncsnpp_small"),
}


@dataclass(frozen=True)
class Preset:
    """A named choice of the three files.

    Attributes:
        name: ``family/name``, as in ``amp/wavenet``.
        data: the data JSON; the family's default unless there is one of that name.
        model: the model JSON.
        learning: the learning JSON that goes with the optimizer; the family's default unless there is one of
            that name.
    """

    name: str
    data: Path
    model: Path
    learning: Path

    @property
    def summary(self) -> str:
        """The first comment of the model JSON: one line that says what it is."""
        for line in self.model.read_text(encoding="utf-8").splitlines():
            if line.strip().startswith("//"):
                return line.strip().lstrip("/").strip()
        return ""


def configs_dir() -> Path:
    """The folder with ``data/``, ``model/``, ``learning/`` and ``schema/``.

    Raises:
        UserError: the package was installed without it.
    """
    package = Path(__file__).parent
    for candidate in (package / "configs", package.parent / "configs"):
        if (candidate / "model").is_dir():
            return candidate
    raise UserError(
        f"expected the shipped configs in {package / 'configs'} or {package.parent / 'configs'}, "
        "but got neither; install nam_like again"
    )


def schema_file(kind: str) -> Path:
    """The shipped JSON Schema of ``data.json``, ``model.json`` or ``learning.json``."""
    return configs_dir() / "schema" / f"{kind}.schema.json"


def preset_names() -> list[str]:
    """``family/name`` of every model configuration, sorted."""
    root = configs_dir() / "model"
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.glob("*/*.json"))


def find_preset(name: str, *, data: str | None = None, learning: str | None = None) -> Preset:
    """Return the preset called ``family/name``; the family may be left out where the name is unique.

    Args:
        name: of the preset.
        data: name of another data JSON of the family.
        learning: name of another learning JSON of the family.

    Raises:
        UserError: there is none of that name, or several.
    """
    known = preset_names()
    matches = [item for item in known if item == name or item.split("/")[-1] == name]
    if len(matches) != 1:
        hint = did_you_mean(name, known if "/" in name else [item.split("/")[-1] for item in known])
        problem = (
            f"'{name}' is ambiguous: {', '.join(matches)}" if matches else f"unknown preset '{name}'{hint}"
        )
        raise UserError(f"{problem} (available: {', '.join(known)})")
    family, _, base = matches[0].partition("/")

    def of(kind: str, wanted: str | None = None) -> Path:
        folder = configs_dir() / kind / family
        names = sorted(path.stem for path in folder.glob("*.json"))
        if wanted is not None and wanted not in names:
            raise UserError(
                f"unknown {kind} preset '{wanted}'{did_you_mean(wanted, names)} "
                f"(available: {', '.join(names)})"
            )
        chosen = wanted or (base if base in names else _usual(kind, base, names))
        return folder / f"{chosen}.json"

    return Preset(matches[0], of("data", data), of("model"), of("learning", learning))


def _usual(kind: str, base: str, names: list[str]) -> str:
    """What a model JSON goes with that has no file of its own name."""
    recipes = _RECIPES if kind == "learning" else {}
    return next(
        (
            name
            for name, patterns in recipes.items()
            if name in names and any(fnmatchcase(base, pattern) for pattern in patterns)
        ),
        _DEFAULT,
    )
