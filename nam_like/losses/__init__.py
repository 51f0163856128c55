"""Losses: pure functions of (prediction, target) → scalar, and their components."""
