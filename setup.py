"""Packaging hooks: the wheel carries ``configs/``, and the native kernels are compiled where a compiler is.

Everything else is in pyproject.toml. The kernels are one shared library without Python's or PyTorch's headers
(`nam_like/native/csrc`). Files under ``isa/`` are compiled once per instruction set; the library chooses at
run
time. Without a compiler the package installs all the same and runs on PyTorch alone.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
CSRC = Path("nam_like/native/csrc")
#: Contraction to fused multiply-adds is allowed; reordering sums is not, so that results are reproducible.
FLAGS = [
    "-std=c++17",
    "-O3",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fvisibility=hidden",
]
FLAGS += ["-Wall", "-Wextra", "-Wno-psabi", "-Wno-ignored-attributes", "-pthread", "-g0"]
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma", "-mprefer-vector-width=512"]
# GCC takes the unused operand of its own _mm512_min_ps for a mistake of ours (its bug 105593).
AVX512 += ["-Wno-uninitialized", "-Wno-maybe-uninitialized"]
X86_SETS = {"baseline": [], "avx2": ["-mavx2", "-mfma"], "avx512": AVX512}


def instruction_sets() -> dict[str, list[str]]:
    """Compiler flags of each instruction set that this machine's family has."""
    return X86_SETS if platform.machine().lower() in ("x86_64", "amd64") else {"baseline": []}


class BuildWithConfigs(build_py):
    """Copies ``configs/`` into the package; an editable install reads it from the checkout."""

    def run(self) -> None:
        """Build, then copy; a former copy is removed first so that no deleted preset lives on."""
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "nam_like" / "configs"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / "configs", target)


class BuildKernels(build_ext):
    """Compiles the kernels for every instruction set into one library, or says why it cannot."""

    def build_extension(self, ext: Extension) -> None:
        """Compile and link; a failure leaves the package without the library."""
        target = Path(self.get_ext_fullpath(ext.name))
        try:
            if os.environ.get("NAM_LIKE_BUILD_NATIVE", "1") == "0":
                raise RuntimeError("NAM_LIKE_BUILD_NATIVE is 0")
            if self.compiler.compiler_type == "msvc":
                raise RuntimeError("the kernels need GCC or Clang, and this is MSVC")
            target.parent.mkdir(parents=True, exist_ok=True)
            new = target.with_name(f"new-{target.name}")
            self.compiler.link_shared_object(
                self._objects(), str(new), extra_postargs=["-pthread"], target_lang="c++"
            )
            os.replace(new, target)  # a running program keeps the old file
        except Exception as error:  # whatever a compiler may do, the package must still install
            target.unlink(missing_ok=True)
            reason = " ".join(str(error).split())
            print(
                f"nam_like: native kernels not built ({reason}); everything runs on PyTorch, more slowly",
                file=sys.stderr,
            )

    def _objects(self) -> list[str]:
        jobs = [(path, "baseline", []) for path in sorted(CSRC.glob("*.cpp"))]
        for name, flags in instruction_sets().items():
            jobs += [(path, name, flags) for path in sorted((CSRC / "isa").glob("*.cpp"))]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return [made for found in pool.map(self._compile, *zip(*jobs, strict=True)) for made in found]

    def _compile(self, source: Path, name: str, flags: list[str]) -> list[str]:
        made: list[str] = self.compiler.compile(
            [str(source)],
            output_dir=str(Path(self.build_temp) / name),
            macros=[("NAM_ISA", name)],
            extra_postargs=[*FLAGS, *flags],
        )
        return made

    def copy_extensions_to_source(self) -> None:
        """For an editable install; there is nothing to copy when nothing was built."""
        if all(Path(self.build_lib, self.get_ext_filename(ext.name)).exists() for ext in self.extensions):
            super().copy_extensions_to_source()

    def get_outputs(self) -> list[str]:
        """The library, if it was built."""
        return [path for path in super().get_outputs() if Path(path).exists()]


os.chdir(ROOT)
setup(
    cmdclass={"build_py": BuildWithConfigs, "build_ext": BuildKernels},
    ext_modules=[Extension("nam_like.native._kernels", sources=[], language="c++")],
)
