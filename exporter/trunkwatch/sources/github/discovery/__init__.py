"""The repositories and branches that a source watches, and which of them have news."""
