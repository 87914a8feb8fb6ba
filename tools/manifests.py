"""Renders deploy/kubernetes/trunkwatch.yaml from the chart, for those who do not use Helm.

    python -m tools.manifests            write it
    python -m tools.manifests --check    exit 1 if the committed file differs

Needs helm 3, on PATH or in .engines/ (tools/fetch-engines).
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy" / "chart"
MANIFESTS = ROOT / "deploy" / "kubernetes" / "trunkwatch.yaml"
VALUES = MANIFESTS.with_name("values.yaml")
KUBERNETES = "1.37.0"
"""The version of Kubernetes that the chart is rendered for."""

HEAD = """\
# Generated from deploy/chart by `python -m tools.manifests`; do not edit.
#
# Change the configuration, and create the Secret with the token:
#   kubectl create secret generic trunkwatch --from-file=github_token
#   kubectl apply -f trunkwatch.yaml
"""


def find_helm() -> str | None:
    """Return the path of helm, or None."""
    built = sorted((ROOT / ".engines").glob("helm-*/helm"))
    return shutil.which("helm") or (str(built[-1]) if built else None)


def render(helm: str, values: Path, *flags: str, chart: Path = CHART) -> str:
    """Return the chart's manifests for a file of values.

    Raises:
        RuntimeError: the chart cannot be rendered.
    """
    release = ("trunkwatch", str(chart), "--values", str(values), "--kube-version", KUBERNETES)
    command = [helm, "template", *release, *flags]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


def main(argv: Sequence[str] | None = None) -> int:
    """Write the manifests, or compare them with the committed file."""
    parser = argparse.ArgumentParser(description="Renders the manifests from the chart.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    given = parser.parse_args(argv)
    helm = find_helm()
    if helm is None:
        print("helm is neither on PATH nor in .engines/: run tools/fetch-engines", file=sys.stderr)
        return 2
    wanted = HEAD + render(helm, VALUES)
    if not given.check:
        MANIFESTS.write_text(wanted, encoding="utf-8")
    elif MANIFESTS.read_text(encoding="utf-8") != wanted:
        print("the manifests are outdated: run 'python -m tools.manifests'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
