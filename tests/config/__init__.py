"""The configuration: valid keys and values, and the errors about others."""
