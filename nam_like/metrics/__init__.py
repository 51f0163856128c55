"""Metrics: what a net is judged by, accumulated over batches, files and processes."""
