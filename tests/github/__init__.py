"""A fake GitHub, whose history tests declare in code, served over HTTP in simulated time."""
