"""The order of a trunk, and how far its commits have been read."""
