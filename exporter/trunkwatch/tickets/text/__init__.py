"""The Markdown of issues and comments."""
