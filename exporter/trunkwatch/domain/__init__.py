"""The policy: what CI results mean (docs/policy.md). Pure: no I/O, no clock, no logging.

Read in this order: `model` (the words), `evidence` (what one result says), `verdict` (what a
commit says), `columns`, `streak`, `outage`, `job` (all of it for one job), `retirement`,
`branch` (all jobs of a trunk), `assessor` (only what a change touches is computed again).
"""
