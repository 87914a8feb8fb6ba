"""What the configuration may say, and how it says that it may not."""
