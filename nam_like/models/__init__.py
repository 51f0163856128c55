"""The networks: `base` (what every net is), `blocks` (shared bricks), one folder per family."""
