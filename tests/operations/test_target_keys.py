"""Targets whose keys are not those of the model: none at all, or such as take two different keys for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa

from tests.operations.databases import contents, execute
from toolkit.config import Config
from toolkit.errors import CollationConflictError, SchemaMismatchError, UniqueConflictError
from toolkit.operations.sync import sync
from toolkit.operations.transfer.deletes import DeleteLimit
from toolkit.operations.transfer.options import Mode, Options

METADATA = sa.MetaData()
sa.Table(
    "word",
    METADATA,
    sa.Column("lang", sa.Text, primary_key=True),
    sa.Column("Word", sa.Text, primary_key=True),
    sa.Column("email", sa.Text, unique=True),
)
# The extension's type, made by SQL alone: the embedded server comes without it, and without ICU's collations.
CITEXT = """
CREATE TYPE citext;
CREATE FUNCTION citextin(cstring) RETURNS citext AS 'textin' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION citextout(citext) RETURNS cstring AS 'textout' LANGUAGE internal IMMUTABLE STRICT;
CREATE FUNCTION citextrecv(internal) RETURNS citext AS 'textrecv' LANGUAGE internal STABLE STRICT;
CREATE FUNCTION citextsend(citext) RETURNS bytea AS 'textsend' LANGUAGE internal STABLE STRICT;
CREATE TYPE citext (INPUT = citextin, OUTPUT = citextout, RECEIVE = citextrecv, SEND = citextsend, LIKE = text,
                    CATEGORY = 'S', COLLATABLE = true);
CREATE CAST (citext AS text) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (text AS citext) WITHOUT FUNCTION AS ASSIGNMENT;
CREATE FUNCTION citext_cmp(citext, citext) RETURNS int LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT bttextcmp(lower($1::text), lower($2::text))';
CREATE FUNCTION citext_eq(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT citext_cmp($1, $2) = 0';
CREATE FUNCTION citext_ne(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT citext_cmp($1, $2) <> 0';
CREATE FUNCTION citext_lt(citext, citext) RETURNS bool LANGUAGE sql IMMUTABLE STRICT
    AS 'SELECT citext_cmp($1, $2) < 0';
CREATE OPERATOR = (FUNCTION = citext_eq, LEFTARG = citext, RIGHTARG = citext, COMMUTATOR = =, MERGES);
CREATE OPERATOR <> (FUNCTION = citext_ne, LEFTARG = citext, RIGHTARG = citext, COMMUTATOR = <>, NEGATOR = =);
CREATE OPERATOR < (FUNCTION = citext_lt, LEFTARG = citext, RIGHTARG = citext);
CREATE OPERATOR CLASS citext_ops DEFAULT FOR TYPE citext USING btree
    AS OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 citext_cmp(citext, citext)
"""
# How a column is declared that takes AB and ab for one, and what is told of it.
FOLDING = {
    "sqlite2": ("", "TEXT COLLATE NOCASE", "the collation NOCASE"),
    "postgres": (CITEXT, "citext", "the type citext"),
}
WAYS = [Options(), Options(verify=False), Options(commit_every=1), Options(batch_rows=1)]
# Each way into SQLite; PostgreSQL is written to in another where rows are loaded and where they are merged.
EVERY_WAY = pytest.mark.parametrize(
    ("target", "options"),
    [*(("sqlite2", way) for way in WAYS), ("postgres", WAYS[0]), ("postgres", WAYS[2])],
    ids=["", "unverified", "in parts", "row by row", "postgres", "postgres in parts"],
)


@pytest.fixture
def words(shop: Config) -> Config:
    return replace(shop, metadata=f"{__name__}:METADATA")


def make(config: Config, name: str, column: str, email: str = "TEXT UNIQUE", *before: str) -> None:
    key = f'CREATE TABLE word (lang TEXT, "Word" {column}, email {email}, PRIMARY KEY (lang, "Word"))'
    execute(config.database(name), *filter(None, before), key)


def put(config: Config, name: str, *words: str, emails: Sequence[str] = ()) -> None:
    for number, word in enumerate(words):
        email = emails[number] if emails else f"{name}{word}"
        execute(config.database(name), f"INSERT INTO word VALUES ('en', '{word}', '{email}')")


def rows(config: Config, name: str) -> list[str]:
    return [row[1] for row in contents(config.database(name), METADATA)["word"]]


@pytest.mark.usefixtures("small_rebuilds")
@EVERY_WAY
def test_two_keys_that_the_target_takes_for_one_are_named_with_the_collation_and_nothing_is_lost(
    words: Config, target: str, options: Options
) -> None:
    before, column, cause = FOLDING[target]
    make(words, "sqlite", "TEXT")
    put(words, "sqlite", "ab", "cd", "AB", "x")
    make(words, target, column, "TEXT", before)
    with pytest.raises(CollationConflictError) as caught:
        sync(words, "sqlite", target, options=options)
    assert sorted(caught.value.rows) == ["lang=en, Word=AB", "lang=en, Word=ab"]
    assert caught.value.columns == {"Word": cause}
    assert rows(words, target) == []


@EVERY_WAY
def test_a_key_that_the_target_takes_for_one_of_its_own_is_named_with_it(
    words: Config, target: str, options: Options
) -> None:
    before, column, cause = FOLDING[target]
    make(words, "sqlite", "TEXT")
    put(words, "sqlite", "ab", "cd")
    make(words, target, column, "TEXT", before)
    put(words, target, "AB", "cd")
    with pytest.raises(CollationConflictError, match="are different rows, but have equal keys in") as caught:
        sync(words, "sqlite", target, options=options)
    assert caught.value.rows == ("lang=en, Word=ab", "lang=en, Word=AB")
    assert cause in caught.value.fact
    assert rows(words, target) == ["AB", "cd"]


@pytest.mark.parametrize("target", FOLDING)
def test_a_key_that_only_changes_its_case_is_written_where_the_old_one_is_deleted(words: Config, target: str) -> None:
    before, column, _ = FOLDING[target]
    make(words, "sqlite", "TEXT")
    put(words, "sqlite", "ab", "cd")
    make(words, target, column, "TEXT", before)
    put(words, target, "AB", "CD", "cde")
    sync(words, "sqlite", target, options=Options(mode=Mode.REPLACE, max_delete=DeleteLimit(9)))
    assert rows(words, target) == ["ab", "cd"]


@pytest.mark.usefixtures("small_rebuilds")
@pytest.mark.parametrize(("target", "there"), [("sqlite2", []), ("postgres", ["X"])])
def test_unique_values_that_the_target_takes_for_one_are_both_named_with_the_collation(
    words: Config, target: str, there: list[str]
) -> None:
    before, column, cause = FOLDING[target]
    make(words, "sqlite", "TEXT")
    put(words, "sqlite", "a", "b", emails=["me@x", "Me@x"])
    make(words, target, "TEXT", f"{column} UNIQUE", before)
    put(words, target, *there)
    with pytest.raises(UniqueConflictError) as caught:
        sync(words, "sqlite", target)
    assert f"unique email = me@x and Me@x (one value to {cause})" in caught.value.fact
    assert caught.value.rows == ("lang=en, Word=a", "lang=en, Word=b")
    put(words, target, "c", emails=["ME@X"])
    execute(words.database("sqlite"), "DELETE FROM word WHERE \"Word\" = 'b'")
    with pytest.raises(UniqueConflictError) as caught:
        sync(words, "sqlite", target)
    assert f"unique email = me@x and ME@X (one value to {cause})" in caught.value.fact
    assert caught.value.rows == ("lang=en, Word=a", "lang=en, Word=c")


KEYLESS = {
    "none": 'CREATE TABLE word (lang TEXT, "Word" TEXT, email TEXT)',
    "of fewer columns": 'CREATE TABLE word (lang TEXT PRIMARY KEY, "Word" TEXT, email TEXT)',
    "of more columns": 'CREATE TABLE word (lang TEXT, "Word" TEXT, email TEXT, UNIQUE (lang, "Word", email))',
}
POSTGRES_KEYLESS = {
    "deferrable": 'CREATE TABLE word (lang TEXT, "Word" TEXT, email TEXT, PRIMARY KEY (lang, "Word") DEFERRABLE)',
    "partial": f"{KEYLESS['none']}; CREATE UNIQUE INDEX ON word (lang, \"Word\") WHERE lang = 'en'",
    "expression": f'{KEYLESS["none"]}; CREATE UNIQUE INDEX ON word (lang, lower("Word"))',
    "plain": f'{KEYLESS["none"]}; CREATE INDEX ON word (lang, "Word")',
}
CASES = [("sqlite2", statement) for statement in KEYLESS.values()]
CASES += [("duckdb", KEYLESS["none"]), ("duckdb", KEYLESS["of more columns"])]
CASES += [("postgres", statement) for statement in POSTGRES_KEYLESS.values()]


@pytest.mark.parametrize(("target", "statement"), CASES)
def test_a_target_without_the_model_s_key_is_told_with_the_statement_that_makes_it(
    words: Config, target: str, statement: str
) -> None:
    make(words, "sqlite", "TEXT")
    put(words, "sqlite", "ab", "cd")
    execute(words.database(target), *statement.split("; "))
    put(words, target, "ab")
    for dry_run in (True, False):
        with pytest.raises(SchemaMismatchError) as caught:
            sync(words, "sqlite", target, dry_run=dry_run)
        assert f"{target}.word has no primary key or unique index of lang, Word" in caught.value.fact
    assert rows(words, target) == ["ab"]
    if statement is POSTGRES_KEYLESS["deferrable"]:
        execute(words.database(target), "ALTER TABLE word DROP CONSTRAINT word_pkey")
    if statement is not KEYLESS["of fewer columns"]:
        execute(words.database(target), caught.value.advice.partition(": ")[2])
        sync(words, "sqlite", target)
        assert rows(words, target) == ["ab", "cd"]


@pytest.mark.parametrize("target", ["duckdb", "postgres"])
def test_an_empty_table_without_a_key_is_filled_all_the_same(words: Config, target: str) -> None:
    make(words, "sqlite", "TEXT")
    put(words, "sqlite", "ab", "cd")
    execute(words.database(target), KEYLESS["none"])
    with pytest.raises(SchemaMismatchError):
        sync(words, "sqlite", target, options=Options(commit_every=1))
    sync(words, "sqlite", target)
    assert rows(words, target) == ["ab", "cd"]
    # Nothing differs: nothing is written.
    sync(words, "sqlite", target)
