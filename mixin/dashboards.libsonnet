// Generated from dashboards/ by `make docs`; do not edit.
{
  'trunk.json': import '../dashboards/trunk.json',
}
