"""Tasks: one file per way of training."""
