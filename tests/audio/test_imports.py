import subprocess
import sys


def test_importing_audio_imports_numpy_only():
    code = """
import importlib, pkgutil, sys
import nam_like.audio
for module in pkgutil.walk_packages(nam_like.audio.__path__, "nam_like.audio."):
    importlib.import_module(module.name)
loaded = {name.partition(".")[0] for name in sys.modules}
assert "numpy" in loaded
heavy = loaded & {"torch", "scipy", "soundfile", "wavio", "soxr", "matplotlib", "pydantic"}
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
