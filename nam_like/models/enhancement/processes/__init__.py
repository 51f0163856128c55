"""Processes in time that lead from clean to noisy spectrograms, or from noise to clean ones."""
