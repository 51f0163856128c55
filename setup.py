"""Packaging hook: the wheel carries ``configs/``; everything else is in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies ``configs/`` into the package; an editable install reads it from the checkout."""

    def run(self) -> None:
        """Build, then copy; a former copy is removed first so that no deleted preset lives on."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "nam_like" / "configs"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(Path(__file__).parent / "configs", target)


setup(cmdclass={"build_py": BuildWithConfigs})
