"""What is served over HTTP, by the real server."""
