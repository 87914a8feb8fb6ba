"""The HTTP interface, on the real server."""
