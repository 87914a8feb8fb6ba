"""The deployment files: what is mounted, built and routed is what is tested here."""
