// Generated from dashboards/ by `make docs`; do not edit.
{
  'job.json': import '../dashboards/job.json',
  'trunk.json': import '../dashboards/trunk.json',
  'trunkwatch.json': import '../dashboards/trunkwatch.json',
}
