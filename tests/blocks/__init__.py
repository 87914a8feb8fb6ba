"""Texts in blocks."""
