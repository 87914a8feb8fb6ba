"""Stores the alerts that were shown."""

import logging
import sqlite3
from collections.abc import Iterator
from types import MappingProxyType

import msgspec

from trunkwatch.engine.alerts import AlertChanges
from trunkwatch.engine.shown import Alert
from trunkwatch.store.names import Names

log = logging.getLogger(__name__)

NO_ALERTS: AlertChanges = MappingProxyType({})
"""No changes of alerts."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Alert).decode


def read_alerts(connection: sqlite3.Connection) -> Iterator[Alert]:
    """Yield all stored alerts; a damaged one is logged and left out."""
    for (body,) in connection.execute("SELECT body FROM alerts"):
        try:
            yield _decode(body)
        except msgspec.MsgspecError as error:
            log.warning("stored alert is void", extra={"reason": str(error)})


def write_alerts(connection: sqlite3.Connection, names: Names, changes: AlertChanges) -> None:
    """Write changed alerts; the caller begins and commits the transaction."""
    for key, alert in changes.items():
        trunk_id = names.trunk_id(key.job.trunk)
        where = (trunk_id, _encode(key))
        if alert is None:
            connection.execute("DELETE FROM alerts WHERE trunk = ? AND labels = ?", where)
        else:
            connection.execute(
                "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?)", (*where, _encode(alert))
            )
