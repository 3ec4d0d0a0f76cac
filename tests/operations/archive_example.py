"""A gallery with files in a live store, an archive beside it, and ways to look at and spoil both."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from tests.operations import databases
from tests.operations.gallery import metadata
from tests.operations.outcomes import files_in
from toolkit.config import Config, Store
from toolkit.core.archive_manifest import Address, FileEntry, Header, Scope, new_snapshot_id
from toolkit.core.retention import Policy
from toolkit.operations.archive.audit import AuditResult, audit
from toolkit.operations.archive.backends import open_archive
from toolkit.operations.archive.prune import prune
from toolkit.operations.archive.prune_values import PruneResult
from toolkit.operations.archive.push import push
from toolkit.operations.archive.push_values import PushOptions, PushResult
from toolkit.operations.archive.removal import remove
from toolkit.operations.archive.restore import restore
from toolkit.operations.archive.restore_values import RestoreOptions, RestoreResult
from toolkit.operations.archive.verify import VerifyResult, verify
from toolkit.stores.archive import Archive

LONG_AGO = dt.datetime(2020, 1, 2, 3, 4, 5, 678901, dt.UTC)
# In place of the models' own types, so that rows can hold anything.
PHOTO = sa.table(
    "photo",
    sa.column("id", sa.Integer),
    sa.column("title", sa.String),
    sa.column("file", sa.Text),
    sa.column("created_at", sa.DateTime(timezone=True)),
    sa.column("updated_at", sa.DateTime(timezone=True)),
)


@dataclass
class Gallery:
    """Rows of one database, and the directories of the live store and the archive."""

    config: Config
    database: str
    store: str = "archive"

    @property
    def live(self) -> Path:
        return self.config.root / ".toolkit" / "attachments"

    @property
    def folder(self) -> Path:
        return self.config.root / ".toolkit" / "archive"

    @property
    def archive(self) -> Archive:
        return open_archive(self.config, self.store)

    def put(self, path: str, content: bytes, *, fresh: bool = False) -> None:
        """Write a live file, long ago unless it is to be fresh."""
        place = self.live / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        if not fresh:
            os.utime(place, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))

    def photo(
        self, number: int, path: str | None, content: bytes | None = None, *, at: dt.datetime = LONG_AGO, **more: Any
    ) -> None:
        """A row, and its file if there is content."""
        if path is not None and content is not None:
            self.put(path, content)
        file = None if path is None else json.dumps(reference(path, content, **more))
        self.row(number, file, at)

    def photos(self, paths: dict[int, str]) -> None:
        """Rows in place of all that there are, whose files must be there."""
        rows = [(number, f"no. {number}", json.dumps(reference(path, None))) for number, path in paths.items()]
        place = self.config.database(self.database).file
        assert place is not None
        with closing(sqlite3.connect(place)) as connection:
            connection.execute("DELETE FROM photo")
            at = "2020-01-02 03:04:05.678901"
            connection.executemany("INSERT INTO photo VALUES (?, ?, ?, ?, ?)", [(*row, at, at) for row in rows])
            connection.commit()

    def row(self, number: int, file: str | None, at: dt.datetime = LONG_AGO) -> None:
        """A row that holds this text."""
        values = {"id": number, "title": f"no. {number}", "file": file, "created_at": at, "updated_at": at}
        with databases.connected(self.config.database(self.database)) as connection:
            cell = sa.cast(sa.bindparam("file", file, sa.Text), self._file_type(connection))
            connection.execute(sa.insert(metadata.tables["photo"]).values(**{**values, "file": cell}))

    def _file_type(self, connection: sa.Connection) -> Any:
        from sqlalchemy.dialects.postgresql import JSONB

        return {"postgresql": JSONB(), "duckdb": sa.JSON()}.get(connection.dialect.name, sa.Text())

    def album(self, owner: str, number: int, *paths: str, **contents: bytes) -> None:
        """A row of several files, which must be there or be made by `put`."""
        files = json.dumps([reference(path, None) for path in paths])
        with databases.connected(self.config.database(self.database)) as connection:
            cell = sa.cast(sa.bindparam("files", files, sa.Text), self._file_type(connection))
            connection.execute(sa.insert(metadata.tables["album"]).values(owner=owner, number=number, files=cell))

    def rows(self, table: str = "photo", column: str = "file") -> dict[Any, Any]:
        """By key, what the column of files holds, decoded."""
        found = metadata.tables[table]
        keys = [sa.type_coerce(c, c.type) for c in found.primary_key.columns]
        with databases.connected(self.config.database(self.database)) as connection:
            cell = sa.cast(sa.type_coerce(found.c[column], sa.types.NullType()), sa.Text)
            selected = connection.execute(sa.select(*keys, cell)).all()
        return {
            (key[0] if len(key) == 1 else tuple(key)): None if text is None else json.loads(text)
            for *key, text in selected
        }

    def stamps(self) -> dict[int, tuple[Any, ...]]:
        """All other columns of the photos."""
        table = metadata.tables["photo"]
        with databases.connected(self.config.database(self.database)) as connection:
            rows = connection.execute(sa.select(table.c.id, table.c.title, table.c.created_at, table.c.updated_at))
            return {row[0]: tuple(row[1:]) for row in rows}

    def run(self, *statements: str) -> None:
        databases.execute(self.config.database(self.database), *statements)

    def push(
        self, *tables: str, where: dict[str, str] | None = None, dry_run: bool = False, **options: Any
    ) -> PushResult:
        chosen = PushOptions(**options)
        return push(self.config, self.database, tables, store=self.store, where=where, options=chosen, dry_run=dry_run)

    def restore(self, snapshot: str = "latest", *, dry_run: bool = False, **options: Any) -> RestoreResult:
        directory = options.get("directory")
        source = None if directory is not None and "only" not in options else self.database
        return restore(
            self.config, snapshot, store=self.store, source=source, options=RestoreOptions(**options), dry_run=dry_run
        )

    def verify(self, snapshot: str | None = None, **options: Any) -> VerifyResult:
        return verify(self.config, snapshot, store=self.store, **options)

    def prune(
        self, *, source: str | None = None, adopt: Sequence[str] = (), dry_run: bool = False, **policy: Any
    ) -> PruneResult:
        return prune(self.config, Policy(**policy), store=self.store, source=source, adopt=adopt, dry_run=dry_run)

    def remove(self, *snapshots: str, force: bool = False, dry_run: bool = False) -> PruneResult:
        return remove(self.config, snapshots, store=self.store, force=force, dry_run=dry_run)

    def audit(self) -> AuditResult:
        return audit(self.config, self.database, store=self.store)

    def live_files(self) -> dict[str, bytes]:
        """All files of the live store."""
        return files_in(self.live)

    def spoil(self, key: str) -> None:
        """Flip a bit of an object of the archive."""
        place = self.folder / key
        content = bytearray(place.read_bytes())
        content[len(content) // 2] ^= 4
        place.write_bytes(content)

    @contextmanager
    def archive_of(
        self, files: dict[str, bytes], database: str = "sqlite", at: dt.datetime | None = None
    ) -> Iterator[None]:
        """A snapshot of files whose names no directory could have."""
        entries = []
        for number, (path, content) in enumerate(files.items()):
            address = Address(hashlib.sha256(content).hexdigest())
            self.archive.write(address, [content], len(content))
            entries.append(
                FileEntry(
                    table="photo",
                    column="file",
                    key={"id": number},
                    index=None,
                    backend="attachments",
                    path=path,
                    name=path,
                    content_type=None,
                    size=len(content),
                    sha256=address.sha256,
                    stored=None,
                    modified=None,
                    etag=None,
                    metadata=msgspec.Raw(b"{}"),
                    reference=msgspec.Raw(json.dumps(reference(path, content))),
                )
            )
        now = at or dt.datetime.now(dt.UTC)
        header = Header(
            id=new_snapshot_id(now),
            created_at=now,
            database=database,
            revision=None,
            scope=Scope(),
            files=len(entries),
            objects=len(entries),
            bytes=sum(map(len, files.values())),
        )
        self.archive.write_snapshot(header, entries)
        yield

    def objects(self) -> dict[str, int]:
        """What lies in the archive's place for objects."""
        return {info.key: info.size for info in self.archive.objects()}

    def contents(self, snapshot: str) -> dict[tuple[str, Any, int | None], bytes]:
        """By table, key and index, the content that the archive has for each file of a snapshot."""
        return {
            (entry.table, tuple(entry.key.values()), entry.index): b"".join(self.archive.read(entry.address))
            for entry in self.archive.entries(snapshot)
        }


def reference(path: str, content: bytes | None, backend: str = "attachments", **more: Any) -> dict[str, Any]:
    """What Advanced Alchemy would have written into a row."""
    size = None if content is None else len(content)
    usual: dict[str, Any] = {
        "filename": path,
        "content_type": "application/octet-stream",
        "size": size,
        "last_modified": 1709220599.25,
        "checksum": None,
        "etag": None,
        "version_id": None,
        "metadata": {},
        "backend": backend,
    }
    return usual | more


def gallery(config: Config, database: str, **stores: str) -> Gallery:
    """An empty one; `stores` are more of them, or others in place of the usual ones."""
    own = replace(
        config,
        metadata="tests.operations.gallery:metadata",
        migrations=config.root / "no migrations",
        stores={**config.stores, **{name: Store(name, url, config.root) for name, url in stores.items()}},
    )
    databases.create(own.database(database), metadata)
    return Gallery(own, database)
