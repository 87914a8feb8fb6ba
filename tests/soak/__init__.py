"""Kills under load and simulated weeks: `make soak`."""
