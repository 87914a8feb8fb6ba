"""A runner of Gitea Actions that takes jobs and reports whatever result a test wants.

The protocol is that of https://pkg.go.dev/code.gitea.io/actions-proto-go, connect RPC, in JSON.
"""

import base64
import time
from typing import Any, NamedTuple

import requests
import yaml
from trunkwatch.times import format_time

LABEL = "ubuntu-latest"


class Task(NamedTuple):
    """An attempt of a job that the runner has taken.

    Attributes:
        id: as the protocol writes it.
        name: of the job.
    """

    id: str
    name: str


class Runner:
    """A registered runner; it executes nothing."""

    def __init__(self, url: str, token: str) -> None:
        """Args:
        url: of the server.
        token: registers runners.
        """
        self._service = f"{url}/api/actions/runner.v1.RunnerService"
        self._session = requests.Session()
        about = {"version": "v0.2.11", "labels": [LABEL]}
        made = self._call("Register", name="tests", token=token, **about)["runner"]
        self._session.headers.update({f"x-runner-{key}": made[key] for key in ("uuid", "token")})
        self._call("Declare", **about)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def take(self) -> Task | None:
        """Return a job that waits, which is running from then on."""
        # Asked with the version that it returned last, the server would not look for another task.
        task = self._call("FetchTask", tasksVersion="0").get("task")
        if task is None:
            return None
        (name,) = yaml.safe_load(base64.b64decode(task["workflowPayload"]))["jobs"]
        return Task(task["id"], name)

    def finish(self, task: Task, conclusion: str) -> str:
        """Report the end of a job and its log; return the result that the server has then."""
        now, result = format_time(time.time()), f"RESULT_{conclusion.upper()}"
        row = {"time": now, "content": conclusion}
        self._call("UpdateLog", taskId=task.id, index="0", rows=[row], noMore=True)
        step = {"id": "0", "result": result, "startedAt": now, "stoppedAt": now, "logLength": "1"}
        state = {"id": task.id, "result": result, "startedAt": now, "stoppedAt": now}
        done = self._call("UpdateTask", state={**state, "steps": [step]})
        return str(done["state"]["result"]).removeprefix("RESULT_").lower()

    def _call(self, method: str, **body: Any) -> dict[str, Any]:
        answer = self._session.post(f"{self._service}/{method}", json=body, timeout=30)
        assert answer.ok, f"{method}: {answer.text}"
        found: dict[str, Any] = answer.json()
        return found
