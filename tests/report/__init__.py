"""What programs and people read of a snapshot."""
