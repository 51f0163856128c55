"""Optimizers and learning-rate schedules: any of torch's, or an import path, built from their components."""
