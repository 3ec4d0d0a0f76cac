"""PostgreSQL's catalogue of many tables at once: asked table by table, thousands of them take minutes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolkit.core.tables import TableSpec
from toolkit.engines.catalogue import ColumnFacts, TableFacts
from toolkit.engines.postgresql.sql import qualified

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession


_CATALOGUED = {"varchar": "character varying", "char": "character"}


def as_catalogued(type_: str) -> str:
    """A type of a CREATE TABLE in the words of `format_type`."""
    name, bracket, length = type_.lower().partition("(")
    return f"{_CATALOGUED.get(name, name)}{bracket}{length}"


def table_facts(connection: PostgresSession, specs: Sequence[TableSpec]) -> dict[str, TableFacts]:
    """What the catalogue says of these tables, by name; without those that are not there."""
    tables = {qualified(spec.table): spec.name for spec in specs}
    columns: dict[str, dict[str, ColumnFacts]] = defaultdict(dict)
    keys: dict[str, dict[frozenset[str], bool]] = defaultdict(dict)
    with connection.translated():
        bound = {"tables": list(tables)}
        for place, name, *facts in connection.sqlalchemy.execute(sa.text(_COLUMNS), bound):
            columns[tables[place]][name] = ColumnFacts(*facts)
        for place, names, is_immediate in connection.sqlalchemy.execute(sa.text(_KEYS), bound):
            found, key = keys[tables[place]], frozenset(names)
            # A deferrable one is refused even beside one that is not.
            found[key] = found.get(key, True) and is_immediate
    return {
        name: TableFacts(columns[name], frozenset(key for key, is_usable in keys[name].items() if is_usable))
        for name in columns
    }


# Each column's type, or what its domain, or that of an array's elements, is made of: a domain's own length counts, else
# that of what it rests on. A cast to `varchar(10)` would cut a longer text where an assignment refuses it: values are
# cast to the type without a length. A sequence of nobody's, that a default takes numbers from, is one that others may
# take numbers from, too.
_COLUMNS = """
WITH RECURSIVE place AS (
    SELECT name, to_regclass(name) AS id FROM unnest(CAST(:tables AS text[])) AS name
), base AS (
    SELECT id, attnum, atttypid AS type, atttypmod AS modifier FROM place
    JOIN pg_attribute ON attrelid = id WHERE attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT id, attnum, below.type, CASE WHEN modifier <> -1 THEN modifier ELSE below.length END
    FROM base JOIN below ON below.domain = base.type
), below AS (
    SELECT oid AS domain, typbasetype AS type, typtypmod AS length FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.typarray, b.typarray, d.typtypmod FROM pg_type AS d JOIN pg_type AS b ON b.oid = d.typbasetype
    WHERE d.typtype = 'd' AND d.typarray <> 0 AND b.typarray <> 0
)
SELECT place.name, attname::text, format_type(base.type, base.modifier), attgenerated <> '',
       format_type(atttypid, -1), attidentity = 'a', numbers.name, attnotnull AND NOT atthasdef AND attidentity = ''
       AND NOT EXISTS (SELECT 1 FROM pg_type AS own WHERE own.oid = atttypid AND own.typdefault IS NOT NULL), (
           SELECT (pg_sequence_last_value(seqrelid)::numeric + seqincrement)::bigint FROM pg_sequence
           WHERE seqrelid = numbers.id AND numbers.relpersistence = 'p' AND NOT seqcycle
           AND has_sequence_privilege(seqrelid, 'SELECT')
           AND pg_sequence_last_value(seqrelid)::numeric + seqincrement BETWEEN seqmin AND seqmax
       ), (SELECT array_agg(enumlabel::text) FROM pg_enum WHERE enumtypid = base.type),
       coalesce((SELECT seqincrement < 0 FROM pg_sequence WHERE seqrelid = numbers.id), false)
FROM place JOIN pg_attribute AS a ON attrelid = place.id JOIN base ON base.id = attrelid AND base.attnum = a.attnum
LEFT JOIN LATERAL (
    SELECT id, relpersistence, quote_ident(nspname) || '.' || quote_ident(relname) AS name FROM (
        SELECT objid AS id, true AS is_owned FROM pg_depend
        WHERE refclassid = 'pg_class'::regclass AND refobjid = attrelid AND refobjsubid = a.attnum
        AND classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
        UNION ALL
        SELECT refobjid, false FROM pg_attrdef JOIN pg_depend ON objid = pg_attrdef.oid
        WHERE adrelid = attrelid AND adnum = a.attnum AND classid = 'pg_attrdef'::regclass
        AND refclassid = 'pg_class'::regclass AND pg_get_expr(adbin, adrelid) ~ '^nextval\\(''[^()]*''::regclass\\)$'
    ) AS found JOIN pg_class AS c ON c.oid = found.id JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE CASE WHEN relkind = 'S' THEN is_owned OR has_sequence_privilege(found.id, 'UPDATE') END
    ORDER BY is_owned DESC LIMIT 1
) AS numbers ON true
WHERE base.type NOT IN (SELECT domain FROM below) ORDER BY attrelid, a.attnum
"""

# The indexes that an upsert can rest on: of all rows, of columns alone, and of equal values (not WITHOUT OVERLAPS).
_KEYS = """
SELECT name, ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = indrelid
                   AND attnum = ANY(indkey[0 : indnkeyatts - 1])), indimmediate
FROM unnest(CAST(:tables AS text[])) AS name JOIN pg_index ON indrelid = to_regclass(name)
WHERE indisunique AND indisvalid AND NOT indisexclusion AND indpred IS NULL AND indexprs IS NULL
"""

# Rows of partitions and of inheriting tables are read as their parent's; those that a policy hides, not at all.
# What an interrupted run of workers has left is none of the application's.
TABLES = """
SELECT relname AS name, CASE WHEN NOT pg_table_is_visible(c.oid) THEN nspname END AS schema,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
             ORDER BY attnum) AS columns
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE relkind IN ('r', 'p') AND relpersistence <> 't' AND nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND relname !~ '^toolkit_run_[0-9a-f]{10}(_parts)?$'
  AND NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = c.oid)
  AND NOT EXISTS (SELECT 1 FROM pg_depend
                  WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid)
ORDER BY nspname, relname
"""

# What two values may be equal by though they differ, and exclusion constraints; keys WITHOUT OVERLAPS are some, too.
UNUSUAL = """
SELECT place, attname::text AS name, collname::text AS collation
FROM unnest(CAST(:tables AS text[])) AS place JOIN pg_attribute ON attrelid = to_regclass(place)
JOIN pg_collation AS c ON c.oid = attcollation WHERE attnum > 0 AND NOT attisdropped AND NOT collisdeterministic
UNION ALL
SELECT place, conname::text, NULL FROM unnest(CAST(:tables AS text[])) AS place
JOIN pg_constraint ON conrelid = to_regclass(place) WHERE contype = 'x' OR conexclop IS NOT NULL
"""

# What the server makes beside a foreign key to a partitioned table, for each of its partitions.
FOREIGN_KEYS_TO_PARTITIONS = """
SELECT place, ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k(n, number)
                    JOIN pg_attribute ON attrelid = conrelid AND attnum = n ORDER BY number) AS columns,
       relname::text AS parent
FROM unnest(CAST(:tables AS text[])) AS place JOIN pg_constraint ON conrelid = to_regclass(place)
JOIN pg_class ON pg_class.oid = confrelid WHERE contype = 'f' AND conparentid <> 0
"""

FOREIGN_KEYS = """
SELECT nspname AS schema, relname AS name,
       ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k(n, place)
             JOIN pg_attribute ON attrelid = conrelid AND attnum = n ORDER BY place) AS columns,
       ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS k(n, place)
             JOIN pg_attribute ON attrelid = confrelid AND attnum = n ORDER BY place) AS parent_columns
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE confrelid = to_regclass(:table) AND contype = 'f' AND conparentid = 0 AND conrelid <> confrelid
ORDER BY nspname, relname, conname
"""

# The foreign keys of these tables that do more than refuse (ON UPDATE, ON DELETE), by the columns that point.
ACTIONS = """
SELECT place,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)) AS columns
FROM unnest(CAST(:tables AS text[])) AS place JOIN pg_constraint ON conrelid = to_regclass(place)
WHERE contype = 'f' AND (confupdtype IN ('c', 'n', 'd') OR confdeltype IN ('c', 'n', 'd'))
"""
