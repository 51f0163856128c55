"""nam_like: train audio networks from three JSON files.

Importing the package is cheap; everything that needs torch is imported when it is used.
"""

from nam_like._version import __version__

__all__ = ["__version__"]
