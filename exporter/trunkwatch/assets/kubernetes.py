"""The rules and the dashboards as objects of Kubernetes."""

import textwrap
from collections.abc import Iterator, Mapping

from trunkwatch import __version__

FOLDER = "deploy/kubernetes"

_METADATA = f"""\
metadata:
  name: {{name}}
  labels:
    app.kubernetes.io/name: trunkwatch
    app.kubernetes.io/version: "{__version__}"
"""


def manifests(rules: str, dashboards: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of each manifest: a PrometheusRule, and a ConfigMap per dashboard.

    Args:
        rules: the text of the rules.
        dashboards: the text of each dashboard, by the name of its file.
    """
    head = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n"
    spec = f"spec:\n{textwrap.indent(rules, '  ')}"
    yield f"{FOLDER}/rules.yaml", head + _METADATA.format(name="trunkwatch") + spec
    for file, text in dashboards.items():
        name = f"trunkwatch-dashboard-{file.removesuffix('.json').lower()}"
        yield (
            f"{FOLDER}/dashboard-{file.removesuffix('.json')}.yaml",
            f"apiVersion: v1\nkind: ConfigMap\n{_METADATA.format(name=name)}"
            '    grafana_dashboard: "1"\n  annotations:\n    grafana_folder: Trunkwatch\n'
            f"data:\n  {file}: |\n{textwrap.indent(text, '    ')}",
        )
