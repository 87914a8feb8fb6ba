"""Tests of recorded files."""
