"""The files of a release, as `trunkwatch assets` writes them."""
