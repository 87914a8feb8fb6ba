"""Tests of the sources, against files, git and servers on loopback."""
