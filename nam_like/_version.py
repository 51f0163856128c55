"""The version of the package; read by the build and by :mod:`nam_like`."""

__version__ = "0.1.0"
