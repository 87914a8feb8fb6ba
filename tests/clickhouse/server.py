"""ClickHouse's HTTP interface around the engine of `chdb`; run by an interpreter that has it.

Usage: python server.py FOLDER. It prints its port. A GET reads, a POST executes its body.
"""

import re
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

from chdb import session

STATUS = {60: 404, 81: 404, 47: 404}
"""The status codes of exceptions that are not 500."""

engine = session.Session(sys.argv[1])


class Handler(BaseHTTPRequestHandler):
    """Executes one query per request; requests come one at a time."""

    def do_GET(self) -> None:
        """Answer a query."""
        self._run(dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)))

    def do_POST(self) -> None:
        """Execute a statement."""
        size = int(self.headers.get("Content-Length") or 0)
        self._run({"query": self.rfile.read(size).decode()})

    def _run(self, query: dict[str, str]) -> None:
        bound = {key[6:]: value for key, value in query.items() if key.startswith("param_")}
        status, headers = 200, {}
        try:
            body = engine.query(query["query"], "TabSeparated", params=bound).bytes()
        except Exception as error:
            # Else the rows before the exception would be in the next answer.
            engine.query("SELECT 1 FORMAT Null")
            body = str(error).encode()
            code = int(re.findall(rb"Code: (\d+)", body)[0])
            status, headers = STATUS.get(code, 500), {"X-ClickHouse-Exception-Code": str(code)}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log lines."""


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
