"""Every parser against inputs that no sender documents; `make fuzz` tries 10,000 of each."""
