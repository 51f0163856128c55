"""The shape of the package: who may import whom, and how long a file may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "nam_like"
FILES = sorted(PACKAGE.rglob("*.py"))

BOTTOM = {
    "errors",
    "imports",
    "registry",
    "catalog",
    "config",
    "audio",
    "files",
    "_version",
    "native",
    "deferred",
    "lightning",
    "presets",
}
MIDDLE = {"models", "losses", "metrics", "data", "optim"}
# What the parts of each layer may import besides themselves.
ALLOWED = {
    **dict.fromkeys(BOTTOM, BOTTOM),
    **dict.fromkeys(MIDDLE, BOTTOM),
    "export": BOTTOM | {"models.audio_net", "models.base"},
    "train": BOTTOM | MIDDLE | {"export", "extensions"},
    "extensions": {"registry", "errors"},
    "launch": {"errors", "files"},
}
# Known, wanted and few: (importer, imported).
EXCEPTIONS: set[tuple[str, str]] = set()


def module_of(path: Path) -> str:
    """``audio.io`` for nam_like/audio/io.py."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports_of(tree: ast.AST) -> set[str]:
    """Modules of ours that are imported anywhere in a file, without the package's name."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("nam_like.") for name in names if name.startswith("nam_like.")}


def is_allowed(importer: str, imported: str) -> bool:
    """Whether the layer rule lets `importer` import `imported`."""
    part = importer.split(".", maxsplit=1)[0]
    if part in {"cli", "__main__", "__init__"} or (importer, imported) in EXCEPTIONS:
        return True
    if imported == "__version__" or imported.split(".", maxsplit=1)[0] == part:
        return True
    return any(imported == target or imported.startswith(f"{target}.") for target in ALLOWED[part])


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_follow_the_layers(path: Path) -> None:
    forbidden = {
        imported
        for imported in imports_of(ast.parse(path.read_text(encoding="utf-8")))
        if not is_allowed(module_of(path), imported)
    }
    assert not forbidden


def test_the_rule_forbids_something() -> None:
    assert not is_allowed("models.base", "data.paired")
    assert not is_allowed("audio.io", "train.full")
    assert not is_allowed("export.nam", "models.amp.wavenet")
    assert is_allowed("export.nam", "models.base.Net")
    assert is_allowed("train.full", "data.build")


def test_no_family_imports_another() -> None:
    families = {path.name for path in (PACKAGE / "models").iterdir() if path.is_dir()} - {
        "blocks",
        "__pycache__",
    }
    for path in FILES:
        parts = module_of(path).split(".")
        if parts[0] != "models" or len(parts) < 2 or parts[1] not in families:
            continue
        for imported in imports_of(ast.parse(path.read_text(encoding="utf-8"))):
            other = imported.split(".")
            assert not (other[0] == "models" and len(other) > 1 and other[1] in families - {parts[1]}), path


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_files_are_short_quiet_and_documented(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= 400
    assert not text or ast.get_docstring(tree)
    in_cli = module_of(path).split(".")[0] == "cli"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: raise an error that says both operands"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not in_cli:
            assert node.func.id != "print", f"line {node.lineno}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            renamed = [alias.asname for alias in node.names if (alias.asname or "").startswith("_")]
            assert not renamed, f"line {node.lineno}: imports are not renamed to hide them"
