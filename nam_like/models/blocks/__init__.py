"""Bricks that nets of several families share."""
