"""PyMySQL's connection, which gives no result up that is still being read, reads rows fast, and sends them."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import pymysql
import pymysql.cursors
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import MysqlPacket, OKPacketWrapper

from toolkit.engines.mariadb.packets import ERROR, Incoming, Packets

if TYPE_CHECKING:
    # Of the kind of its cursors, as its published types alone have it.
    Base = pymysql.Connection[Any]
else:
    Base = pymysql.Connection

_SENT_BYTES = 1 << 18
_LOST_NUMBER = 2013


@cache
def unverified() -> ssl.SSLContext:
    """TLS that verifies no certificate, for all connections of which nothing else is said.

    PyMySQL's own is the same, but each connection would read the certificates of all authorities, in 20 ms.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Connection(Base):
    """A connection whose unfinished results are errors: PyMySQL reads the rest away, and it would look like the end.

    The server is told that it may ask for rows of a LOAD DATA LOCAL. It gets those that `load` was given, and no file:
    PyMySQL's own way to send one is left off, so that whatever else it asks for is refused.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["client_flag"] = options.get("client_flag", 0) | CLIENT.LOCAL_FILES
        super().__init__(*arguments, **{**options, "local_infile": False})

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        context: ssl.SSLContext = super()._create_ssl_ctx(sslp) if sslp else unverified()  # type: ignore[misc]
        return context

    def _execute_command(self, command: Any, sql: Any) -> Any:
        result: Any = getattr(self, "_result", None)
        if result is not None and result.unbuffered_active:
            raise pymysql.err.InterfaceError(0, "rows of another statement are still being read on this connection")
        return super()._execute_command(command, sql)  # type: ignore[misc]

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        try:
            return super()._read_query_result(unbuffered)  # type: ignore[misc]
        except RuntimeError as error:
            raise self._refuse_to_send() from error

    def _refuse_to_send(self) -> pymysql.err.InterfaceError:
        self._force_close()  # type: ignore[attr-defined]
        return pymysql.err.InterfaceError(0, "the server asked for a file of this machine, and did not get it")

    def rows_of_bytes(self, statement: str) -> Sequence[tuple[bytes, ...]]:
        """The rows of a statement, each value as the bytes that the server sends."""
        own: Any = self
        before, own.use_unicode = own.use_unicode, False
        try:
            with self.cursor(pymysql.cursors.Cursor) as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            own.use_unicode = before

    def load(self, statement: str, name: str, data: memoryview) -> tuple[int, int]:
        """Run a LOAD DATA LOCAL INFILE of this name, of which this is the content: the rows, and the warnings."""
        # Of what PyMySQL keeps to itself, its published types say little.
        own: Any = self
        self._execute_command(COMMAND.COM_QUERY, statement)
        asked = own._read_packet()  # noqa: SLF001 - its own
        if not asked.is_load_local_packet() or asked.get_all_data()[1:] != name.encode():
            raise self._refuse_to_send()
        for start in range(0, len(data), _SENT_BYTES):
            own.write_packet(bytes(data[start : start + _SENT_BYTES]))
        own.write_packet(b"")
        told: Any = OKPacketWrapper(own._read_packet())  # noqa: SLF001
        own._result = None  # noqa: SLF001
        return int(told.affected_rows), int(told.warning_count)

    def packets(self, statement: str, most: int, size: int) -> Generator[Packets, None, None]:
        """The rows of a query as the server sends them, at most `most` at a time or until they have `size` bytes."""
        self._execute_command(COMMAND.COM_QUERY, statement)
        self._read_query_result(unbuffered=True)
        result: Any = getattr(self, "_result", None)
        try:
            yield from self._packets(most, size)
        except (pymysql.Error, GeneratorExit):
            raise
        except OSError as error:
            raise self._lost() from error
        except BaseException:
            # It stands within a packet, and nothing that follows would be understood.
            self._force_close()  # type: ignore[attr-defined]
            raise
        finally:
            result.unbuffered_active, result.connection = False, None

    def _packets(self, most: int, size: int) -> Iterator[Packets]:
        incoming = Incoming(self._rfile.read1)  # type: ignore[attr-defined]
        while not incoming.is_at_end:
            try:
                rows = incoming.rows(most, size)
            except EOFError:
                raise self._lost() from None
            if len(rows.heads) > 1:
                try:
                    yield rows
                except GeneratorExit:
                    # All of it is read, as PyMySQL's own cursors do.
                    while not incoming.is_at_end:
                        incoming.rows(most, size)
                    raise
        if not incoming.last:
            raise self._lost()
        if incoming.last[0] == ERROR:
            error: Any = MysqlPacket(incoming.last, self.encoding)
            error.raise_for_error()

    def _lost(self) -> pymysql.err.OperationalError:
        self._force_close()  # type: ignore[attr-defined]
        return pymysql.err.OperationalError(_LOST_NUMBER, "Lost connection to MySQL server during query")
