"""The demonstration: a recorded incident played through the real stack (`make run`)."""
