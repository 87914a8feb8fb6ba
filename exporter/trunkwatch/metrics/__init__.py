"""What Prometheus reads. `catalogue` names every family; nothing else invents one."""
