"""The exposition: every family, its labels, its values and its bytes."""
