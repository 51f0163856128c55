"""Writing trained networks to files that other programs play, and reading those files back."""
