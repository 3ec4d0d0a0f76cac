"""PyMySQL's connection, which gives no result up that is still being read, reads rows fast, and sends them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from struct import Struct
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.constants import CLIENT, COMMAND
from pymysql.protocol import MysqlPacket, OKPacketWrapper

from toolkit.engines.mariadb.told import Packets

if TYPE_CHECKING:
    # Of the kind of its cursors, as its published types alone have it.
    Base = pymysql.Connection[Any]
else:
    Base = pymysql.Connection

# What the last packet of a result begins with: an error, or the end of all rows if it is shorter than a long value.
_ERROR, _END, _SHORTEST_LONG = 0xFF, 0xFE, 9
# A packet of this length goes on in the next.
_WHOLE = 0xFFFFFF
# Three bytes of a packet's length, one of its number.
_HEAD_BYTES = 4
_head = Struct("<I").unpack_from
_READ_BYTES = 1 << 18
_SENT_BYTES = 1 << 18
_LOST_NUMBER = 2013


class Connection(Base):
    """A connection whose unfinished results are errors: PyMySQL reads the rest away, and it would look like the end.

    The server is told that it may ask for rows of a LOAD DATA LOCAL. It gets those that `load` was given, and no file:
    PyMySQL's own way to send one is left off, so that whatever else it asks for is refused.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["client_flag"] = options.get("client_flag", 0) | CLIENT.LOCAL_FILES
        super().__init__(*arguments, **{**options, "local_infile": False})

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
        incoming = _Incoming(self._rfile.read1)  # type: ignore[attr-defined]
        while not incoming.is_at_end:
            try:
                rows = incoming.rows(most, size)
            except EOFError:
                raise self._lost() from None
            if rows.starts:
                try:
                    yield rows
                except GeneratorExit:
                    # All of it is read, as PyMySQL's own cursors do.
                    while not incoming.is_at_end:
                        incoming.rows(most, size)
                    raise
        if not incoming.last:
            raise self._lost()
        if incoming.last[0] == _ERROR:
            error: Any = MysqlPacket(incoming.last, self.encoding)
            error.raise_for_error()

    def _lost(self) -> pymysql.err.OperationalError:
        self._force_close()  # type: ignore[attr-defined]
        return pymysql.err.OperationalError(_LOST_NUMBER, "Lost connection to MySQL server during query")


class _Incoming:
    """The bytes of a result that have come."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._held = bytearray()
        self.is_at_end = False
        self.last = b""
        """The packet behind the last row, once that is passed."""

    def rows(self, most: int, size: int) -> Packets:
        """The next rows; fewer than `most` of less than `size` bytes only at the end.

        Raises:
            EOFError: there are no more bytes, and there was no end.
        """
        starts: list[int] = []
        ends: list[int] = []
        position = 0
        while True:
            position = self._walk(position, most, size, starts, ends)
            if ends and self._is_last(starts[-1], ends[-1]):
                self.is_at_end = True
                self.last = bytes(self._held[starts.pop() : ends.pop()])
            if self.is_at_end or len(starts) == most or position >= size:
                break
            if not (more := self._read(_READ_BYTES)):
                raise EOFError
            self._held += more
        with memoryview(self._held) as held:
            data = bytes(held[:position])
        del self._held[:position]
        return Packets(data, starts, ends)

    def _walk(self, position: int, most: int, size: int, starts: list[int], ends: list[int]) -> int:
        """Note where whole packets begin and end, from a position on; where the next begins."""
        held = self._held
        length_of, there, begin, end = _head, len(held), starts.append, ends.append
        while position < size and len(starts) < most and position + _HEAD_BYTES <= there:
            length = length_of(held, position)[0] & _WHOLE
            following = position + _HEAD_BYTES + length
            if length == _WHOLE:
                following = self._put_together(position)
                there = len(held)
            if following > there:
                break
            begin(position + _HEAD_BYTES)
            end(following)
            position = following
        return position

    def _put_together(self, position: int) -> int:
        """Take out the heads of the packets in which one goes on; where it ends, past all bytes if it has not come."""
        held, heads, at, length = self._held, [position], position, _WHOLE
        while length == _WHOLE:
            if at + _HEAD_BYTES > len(held):
                return len(held) + 1
            length = _head(held, at)[0] & _WHOLE
            at += _HEAD_BYTES + length
            heads.append(at)
        if at > len(held):
            return at
        for head in reversed(heads[1:-1]):
            del held[head : head + _HEAD_BYTES]
        return at - _HEAD_BYTES * (len(heads) - 2)

    def _is_last(self, start: int, end: int) -> bool:
        first = self._held[start] if end > start else _ERROR
        return first == _ERROR or (first == _END and end - start < _SHORTEST_LONG)
