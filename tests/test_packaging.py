"""What is installed: a wheel carries the presets, a checkout reads its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nam_like import presets

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as `pip install .` would lay it out."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("nam_like", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    library = source / "library"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "setup.py", "-q", "build", "--build-lib", str(library)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return library


def test_a_wheel_has_every_module_and_every_config(built: Path) -> None:
    modules = {path.relative_to(ROOT) for path in (ROOT / "nam_like").rglob("*.py")}
    configs = {path.relative_to(ROOT) for path in (ROOT / "configs").rglob("*.json")}
    assert {path.relative_to(built) for path in built.rglob("*.py")} == modules
    assert {path.relative_to(built / "nam_like") for path in built.rglob("*.json")} == configs
    assert (built / "nam_like" / "py.typed").is_file()


def test_the_installed_package_finds_its_presets(built: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(built), "HOME": str(tmp_path)}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import nam_like.presets as p; print(p.configs_dir()); print(p.preset_names())",
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    folder, names = done.stdout.splitlines()
    assert Path(folder) == built / "nam_like" / "configs"
    assert names == str(presets.preset_names())


def test_a_checkout_reads_its_own_presets() -> None:
    assert presets.configs_dir() == ROOT / "configs"


def test_a_package_without_configs_says_so(built: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(built, bare, ignore=shutil.ignore_patterns("configs"))
    done = subprocess.run(
        [sys.executable, "-m", "nam_like", "init", "--list"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(bare), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "expected the shipped configs" in done.stderr
