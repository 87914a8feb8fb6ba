"""A network in which one request fails, as often as it is sent."""

import io
from typing import Any

import requests


class OneFailure:
    """Makes sessions in which one request fails; equal requests are one.

    Attributes:
        sent: the different requests so far.
    """

    def __init__(self, place: int | None = None, status: int = 500) -> None:
        """Args:
        place: of the request that fails, from 0, in the order in which they are sent; None for
            none.
        status: of its answer.
        """
        self._place = place
        self._status = status
        self.sent: list[str] = []

    def __call__(self) -> requests.Session:
        """Return a session."""
        return _Session(self)

    def fails(self, request: str) -> bool:
        """Return whether a request fails."""
        if request not in self.sent:
            self.sent.append(request)
        return self.sent.index(request) == self._place

    def answer(self) -> requests.Response:
        """Return the answer of the server that cannot answer."""
        answer = requests.Response()
        answer.status_code = self._status
        answer.raw = io.BytesIO(b"{}")
        return answer


class _Session(requests.Session):
    def __init__(self, network: OneFailure) -> None:
        super().__init__()
        self._network = network

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        what = f"{method} {url} {kwargs.get('params')} {kwargs.get('json')}"
        if self._network.fails(what):
            return self._network.answer()
        return super().request(method, url, *args, **kwargs)
