"""The documents say what the product does, all of it, and nothing else."""
