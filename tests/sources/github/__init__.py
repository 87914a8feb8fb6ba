"""The source github, against servers on loopback that answer as GitHub does."""
