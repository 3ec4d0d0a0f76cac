"""PyMySQL's connection, which gives no result up that is still being read, reads single values fast, and sends rows."""

from __future__ import annotations

import ssl
from collections.abc import Generator, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import MysqlPacket, OKPacketWrapper

if TYPE_CHECKING:
    # Of the kind of its cursors, as its published types alone have it.
    Base = pymysql.Connection[Any]
else:
    Base = pymysql.Connection

# What a row's packet begins with whose value is NULL; one that is none, an error.
_NULL, _ERROR = 0xFB, 0xFF
# Shorter ones that begin like a long value are the end of all rows.
_SHORTEST_LONG = 9
# A packet of this length goes on in the next.
_WHOLE = 0xFFFFFF
# By its first byte, how many bytes say how long a value is.
_LENGTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}
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

    def values(self, statement: str, most: int, size: int) -> Generator[list[bytes | None], None, None]:
        """The one value of each row of a query, as the server sends them: in a tenth of PyMySQL's time for a row.

        In lists of at most `most`, each ended by the row with which it has `size` bytes.
        """
        self._execute_command(COMMAND.COM_QUERY, statement)
        self._read_query_result(unbuffered=True)
        result: Any = getattr(self, "_result", None)
        try:
            yield from self._single_values(most, size)
        except (pymysql.Error, OSError) as error:
            result.unbuffered_active = False
            if isinstance(error, OSError):
                raise self._lost() from error
            raise
        finally:
            if result.unbuffered_active:
                result._finish_unbuffered_query()  # noqa: SLF001 - as its own cursor does
            result.connection = None

    def _single_values(self, most: int, size: int) -> Iterator[list[bytes | None]]:
        read = self._rfile.read  # type: ignore[attr-defined]
        part: list[bytes | None] = []
        held = 0
        while True:
            # Three bytes of its length, one of its number.
            head = int.from_bytes(read(4), "little")
            length = head & _WHOLE
            packet = read(length)
            if len(packet) != length or not length:
                raise self._lost()
            if length == _WHOLE:
                packet, head = self._rest(packet)
            first = packet[0]
            if first < _NULL:
                part.append(packet[1:])
            elif first in _LENGTHS and length >= _SHORTEST_LONG:
                part.append(packet[1 + _LENGTHS[first] :])
            elif first == _NULL:
                part.append(None)
            else:
                break
            held += length
            if len(part) == most or held >= size:
                self._next_seq_id = ((head >> 24) + 1) & 0xFF
                yield part
                part, held = [], 0
        if first == _ERROR:
            own: Any = MysqlPacket(packet, self.encoding)
            own.raise_for_error()
        done: Any = getattr(self, "_result", None)
        done.unbuffered_active = False
        if part:
            yield part

    def _rest(self, packet: bytes) -> tuple[bytes, int]:
        """A packet, and those in which it goes on."""
        whole, length = bytearray(packet), _WHOLE
        while length == _WHOLE:
            head = int.from_bytes(self._read_bytes(4), "little")  # type: ignore[attr-defined]
            length = head & _WHOLE
            whole += self._read_bytes(length)  # type: ignore[attr-defined]
        return bytes(whole), head

    def _lost(self) -> pymysql.err.OperationalError:
        self._force_close()  # type: ignore[attr-defined]
        return pymysql.err.OperationalError(_LOST_NUMBER, "Lost connection to MySQL server during query")
