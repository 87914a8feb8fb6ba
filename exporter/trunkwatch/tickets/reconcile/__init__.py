"""The reconciliation: decide what an issue needs, plan it, execute the plan."""
