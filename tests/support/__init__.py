"""Shared helpers of the test suite: builders, real servers, binaries."""
