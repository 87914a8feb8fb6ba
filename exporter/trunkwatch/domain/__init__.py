"""The policy of docs/policy.md. Pure: no I/O, no clock, no logging.

Reading order: `model` (the values), `names` (from raw to watched names), `evidence` (of one row),
`verdict` (of one commit), `columns`, `streak`, `outage`, `blame`, `job` (all of it for one job),
`groups`, `branch` (all jobs of a trunk), `retirement`, `policy` (the configured policy).
"""
