"""Checks that the documents describe the product, completely and correctly."""
