"""An HTTP server in a background thread, for the receiver of notifications and the CI's pages."""

import threading
from http.server import HTTPServer


class BackgroundServer:
    """An HTTP server that runs from `start` to `stop`."""

    def __init__(self, server: HTTPServer) -> None:
        """Args:
        server: bound to its address already.
        """
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """The port of the server."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve in a background thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
