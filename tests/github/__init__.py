"""A stand-in for GitHub: a world that is built in code and played in virtual time, over HTTP."""
