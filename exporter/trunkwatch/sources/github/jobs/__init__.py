"""Jobs of runs: their results, failed steps and annotations."""
