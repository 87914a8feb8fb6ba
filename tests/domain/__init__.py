"""The policy, module by module: these tests together read as its specification."""
