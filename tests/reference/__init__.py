"""A second, independent reading of the policy, random histories, and their comparison."""
