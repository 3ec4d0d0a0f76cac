"""An application that deletes a row which was moved takes nothing from others that share its object."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from advanced_alchemy.config import SQLAlchemyAsyncConfig, SQLAlchemySyncConfig
from advanced_alchemy.types.file_object import storages

from tests.operations.archive_example import Gallery
from tests.operations.gallery import Photo
from toolkit.archive import ArchiveBackend


@pytest.fixture
def moved(world: Gallery) -> Iterator[Gallery]:
    """Two rows that were moved to one object, in an application that reads it there."""
    world.photo(1, "a", b"the same")
    world.photo(2, "b", b"the same")
    world.push(move=True)
    storages.register_backend(ArchiveBackend(key="archive", fs=f"file://{world.folder}"))
    yield world
    storages.unregister_backend("archive")


def _delete(world: Gallery) -> None:
    config = SQLAlchemySyncConfig(connection_string=f"sqlite:///{world.config.database('sqlite').file}")
    with config.get_session() as session:
        photo = session.get_one(Photo, 1)
        assert photo.file.get_content() == b"the same"
        session.delete(photo)
        session.commit()
    config.get_engine().dispose()


def _delete_async(world: Gallery) -> None:
    async def delete() -> None:
        config = SQLAlchemyAsyncConfig(connection_string=f"sqlite+aiosqlite:///{world.config.database('sqlite').file}")
        async with config.get_session() as session:
            await session.delete(await session.get_one(Photo, 1))
            await session.commit()
        await config.get_engine().dispose()

    asyncio.run(delete())


@pytest.mark.parametrize("delete", [_delete, _delete_async])
def test_the_file_of_a_row_that_is_deleted_stays_for_the_others(
    moved: Gallery, delete: Callable[[Gallery], None]
) -> None:
    delete(moved)
    assert list(moved.rows()) == [2]
    assert moved.verify(source="sqlite").whole
