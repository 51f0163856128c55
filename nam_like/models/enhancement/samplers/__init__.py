"""Samplers: from an estimator and a process to clean spectrograms."""
