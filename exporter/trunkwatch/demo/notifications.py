"""What the demo does with each notification."""

import threading
from collections.abc import Sequence

from trunkwatch.demo.receiver import QUIET, Delivery
from trunkwatch.demo.screen import Screen
from trunkwatch.demo.tickets import Tickets


class NotificationHandler:
    """The handler of notifications: it prints them and passes them to the tickets.

    Attributes:
        pages: what to look at, with its address, printed after the first one.
    """

    def __init__(self, screen: Screen) -> None:
        """Args:
        screen: where to print.
        """
        self._screen = screen
        self._passing = threading.Lock()
        self._tickets: Tickets | None = None
        self._early: list[Delivery] = []
        self.pages: Sequence[tuple[str, str]] = ()

    def delivered(self, delivery: Delivery) -> None:
        """Print a notification and pass it on, unless it is a heartbeat."""
        if delivery.receiver in QUIET:
            return
        self._screen.notification(delivery)
        pages, self.pages = self.pages, ()
        if pages:
            self._screen.log("look at it while it lasts:")
        for what, url in pages:
            self._screen.page(what, url)
        with self._passing:
            if self._tickets is None:
                self._early.append(delivery)
            else:
                self._tickets.deliver(delivery)

    def pass_to(self, tickets: Tickets | None) -> None:
        """Pass notifications on to running tickets, those so far included; to none from None on."""
        with self._passing:
            self._tickets = tickets
            early, self._early = self._early, []
            if tickets is not None:
                for delivery in early:
                    tickets.deliver(delivery)
