"""Audio files, levels, delays and test signals; NumPy arrays of samples, knowing nothing of networks.

Importing a module of this package imports NumPy only; SciPy, soundfile, wavio and soxr come when first used.
"""
