"""What PostgreSQL's catalogue says of many tables at once; `:tables` are their numbers (oid).

Names in what the server prints are qualified unless they are in the one schema of the search path: see `within_place`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession


@contextmanager
def within_place(connection: PostgresSession) -> Iterator[None]:
    """Let the server print names as they are understood wherever the tables come to lie.

    What is in the schema that new tables get into has no schema's name, all else has.
    """
    # By the driver, which releases the savepoint, too: within one, no snapshot can be shared with who reads rows.
    with connection.translated(), connection.raw.transaction(force_rollback=True):
        connection.run("SELECT set_config('search_path', coalesce(quote_ident(current_schema()), ''), true)")
        # Without quotes around what needs none, whatever the server is set to.
        connection.run("SELECT set_config('quote_all_identifiers', 'off', true)")
        yield


def rows(connection: PostgresSession, query: str, tables: Sequence[int]) -> Sequence[sa.Row[Any]]:
    """What a query of this package says of these tables."""
    return connection.sqlalchemy.execute(sa.text(query), {"tables": list(tables)}).all()


PLACES = """
SELECT name, to_regclass(name)::oid::bigint AS id FROM unnest(CAST(:tables AS text[])) AS name
"""

RELATIONS = """
SELECT c.oid::bigint AS id, relname::text AS name, nspname::text AS schema, nspname = current_schema() AS is_here,
       c.oid::regclass::text AS quoted, relkind::text AS kind, relpersistence = 'u' AS is_unlogged,
       reloptions AS options, obj_description(c.oid, 'pg_class') AS comment, pg_get_partkeydef(c.oid) AS partition_by,
       pg_get_expr(relpartbound, c.oid) AS bound, inhparent::regclass::text AS parent
FROM unnest(CAST(:tables AS oid[])) WITH ORDINALITY AS place(id, number)
JOIN pg_class AS c ON c.oid = place.id JOIN pg_namespace AS n ON n.oid = relnamespace
LEFT JOIN pg_inherits ON inhrelid = c.oid AND relispartition ORDER BY number
"""

COLUMNS = """
SELECT attrelid::bigint AS "table", attnum AS number, attname::text AS name, quote_ident(attname) AS quoted,
       atttypid::bigint AS type, format_type(atttypid, atttypmod) AS shown, attndims AS dimensions,
       attnotnull AS is_required, pg_get_expr(adbin, adrelid) AS expression, attgenerated::text AS generated,
       attidentity::text AS identity, collname::text AS collation,
       CASE WHEN collname IS NOT NULL THEN attcollation::regcollation::text END AS quoted_collation,
       col_description(attrelid, attnum) AS comment
FROM pg_attribute JOIN pg_type AS t ON t.oid = atttypid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
LEFT JOIN pg_collation AS c ON c.oid = attcollation AND attcollation <> typcollation
WHERE attrelid = ANY(CAST(:tables AS oid[])) AND attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum
"""

# The types of columns, and those that they rest on.
TYPES = """
WITH RECURSIVE used AS (
    SELECT atttypid AS id FROM pg_attribute
    WHERE attrelid = ANY(CAST(:tables AS oid[])) AND attnum > 0 AND NOT attisdropped
    UNION
    SELECT CASE WHEN typtype = 'd' THEN typbasetype ELSE typelem END FROM used JOIN pg_type ON pg_type.oid = used.id
    WHERE typtype = 'd' OR (typelem <> 0 AND typlen = -1)
)
SELECT t.oid::bigint AS id, t.typname::text AS name, nspname::text AS schema, nspname = current_schema() AS is_here,
       t.typtype::text AS kind, CASE WHEN e.typarray = t.oid THEN e.oid::bigint END AS element,
       t.typbasetype::bigint AS base, format_type(t.typbasetype, t.typtypmod) AS base_shown,
       t.typndims AS dimensions, t.typnotnull AS is_required, collname::text AS collation,
       pg_get_expr(t.typdefaultbin, 'pg_type'::regclass) AS "default",
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder) AS labels,
       ARRAY(SELECT pg_get_expr(conbin, 0) FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'
             ORDER BY conname) AS checks,
       ARRAY(SELECT conname::text FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'
             ORDER BY conname) AS check_names
FROM used JOIN pg_type AS t ON t.oid = used.id JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_type AS e ON e.oid = t.typelem
LEFT JOIN pg_collation AS c ON c.oid = t.typcollation AND t.typtype = 'd'
     AND t.typcollation <> (SELECT typcollation FROM pg_type WHERE pg_type.oid = t.typbasetype)
"""

CONSTRAINTS = """
SELECT c.oid::bigint AS id, conrelid::bigint AS "table", conname::text AS name, quote_ident(conname) AS quoted,
       contype::text AS kind,
       ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k(number, place)
             JOIN pg_attribute ON attrelid = conrelid AND attnum = k.number ORDER BY place) AS columns,
       condeferrable AS is_deferrable, condeferred AS is_deferred, convalidated AS is_valid,
       pg_get_constraintdef(c.oid) AS definition, pg_get_expr(conbin, conrelid) AS expression,
       confrelid::bigint AS parent, confrelid::regclass::text AS quoted_parent,
       ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS k(number, place)
             JOIN pg_attribute ON attrelid = confrelid AND attnum = k.number ORDER BY place) AS parent_columns,
       confupdtype::text AS on_update, confdeltype::text AS on_delete, confmatchtype::text AS match,
       conparentid <> 0 AS is_of_parent, coninhcount > 0 AS is_inherited,
       conindid::bigint AS index_id,
       ARRAY(SELECT oprname::text FROM unnest(conexclop) WITH ORDINALITY AS k(number, place)
             JOIN pg_operator ON pg_operator.oid = k.number ORDER BY place) AS operators,
       coalesce((to_jsonb(c) -> 'conperiod')::boolean, false) AS has_period,
       coalesce((to_jsonb(c) -> 'conenforced')::boolean, true) AS is_enforced,
       ARRAY(SELECT attname::text FROM jsonb_array_elements_text(
                 CASE jsonb_typeof(to_jsonb(c) -> 'confdelsetcols') WHEN 'array'
                      THEN to_jsonb(c) -> 'confdelsetcols' ELSE '[]' END) AS k(number)
             JOIN pg_attribute ON attrelid = conrelid AND attnum = k.number::int) AS set_columns,
       coalesce((to_jsonb(i) -> 'indnullsnotdistinct')::boolean, false) AS nulls_not_distinct,
       ARRAY(SELECT attname::text FROM generate_series(indnkeyatts, indnatts - 1) AS place
             JOIN pg_attribute ON attrelid = conrelid AND attnum = indkey[place] ORDER BY place) AS included,
       obj_description(c.oid, 'pg_constraint') AS comment
FROM pg_constraint AS c LEFT JOIN pg_index AS i ON indexrelid = conindid AND contype IN ('p', 'u', 'x')
WHERE conrelid = ANY(CAST(:tables AS oid[])) AND contype <> 't' ORDER BY conrelid, conname
"""

INDEXES = """
SELECT i.indexrelid::bigint AS id, indrelid::bigint AS "table", x.relname::text AS name,
       i.indexrelid::regclass::text AS quoted, indisunique AS is_unique,
       indisvalid OR x.relkind = 'I' AS is_valid, amname::text AS method,
       ARRAY(SELECT indoption[place] FROM generate_series(0, indnkeyatts - 1) AS place ORDER BY place) AS options,
       pg_get_expr(indpred, indrelid) AS condition,
       ARRAY(SELECT a.attname::text FROM generate_series(0, indnkeyatts - 1) AS place
             LEFT JOIN pg_attribute AS a ON attrelid = indrelid AND attnum = indkey[place] AND attnum > 0
             ORDER BY place) AS columns,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, place, false) FROM generate_series(1, indnkeyatts) AS place
             ORDER BY place) AS expressions,
       ARRAY(SELECT a.attname::text FROM generate_series(indnkeyatts, indnatts - 1) AS place
             JOIN pg_attribute AS a ON attrelid = indrelid AND attnum = indkey[place] ORDER BY place) AS included,
       ARRAY(SELECT CASE WHEN NOT opcdefault THEN opcname::text END FROM generate_series(0, indnkeyatts - 1) AS place
             JOIN pg_opclass AS o ON o.oid = indclass[place] ORDER BY place) AS operators,
       ARRAY(SELECT CASE WHEN indcollation[place] <> coalesce(attcollation, indcollation[place]) THEN collname::text END
             FROM generate_series(0, indnkeyatts - 1) AS place
             LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[place] AND attnum > 0
             LEFT JOIN pg_collation AS c ON c.oid = indcollation[place] ORDER BY place) AS collations,
       coalesce((to_jsonb(i) -> 'indnullsnotdistinct')::boolean, false) AS nulls_not_distinct,
       'CREATE ' || CASE WHEN indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(x.relname) || ' ON '
       || CASE WHEN x.relkind = 'I' THEN 'ONLY ' ELSE '' END AS head,
       quote_ident(n.nspname) || '.' || quote_ident(t.relname) AS full_table, indrelid::regclass::text AS quoted_table,
       pg_get_indexdef(i.indexrelid) AS definition, inhparent::regclass::text AS parent,
       obj_description(i.indexrelid, 'pg_class') AS comment,
       EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x'))
           AS is_of_constraint
FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid JOIN pg_am ON pg_am.oid = x.relam
JOIN pg_class AS t ON t.oid = indrelid JOIN pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_inherits ON inhrelid = i.indexrelid
WHERE indrelid = ANY(CAST(:tables AS oid[])) ORDER BY indrelid, x.relname
"""

# Those of identities and of defaults, of whichever table.
SEQUENCES = """
SELECT DISTINCT s.seqrelid::bigint AS id, s.seqrelid::regclass::text AS quoted, own.refobjid::bigint AS "table",
       own.refobjsubid AS number, own.deptype = 'i' AS is_identity, relpersistence = 'u' AS is_unlogged,
       own.refobjid::regclass::text || '.' || quote_ident(attname) AS owner,
       format_type(seqtypid, NULL) AS type, seqstart AS start, seqincrement AS increment, seqmin AS minimum,
       seqmax AS maximum, seqcache AS cache, seqcycle AS cycles, obj_description(s.seqrelid, 'pg_class') AS comment,
       has_sequence_privilege(s.seqrelid, 'SELECT') AS is_readable
FROM (
    SELECT objid AS id FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
    AND refobjid = ANY(CAST(:tables AS oid[])) AND refobjsubid > 0
    UNION
    SELECT refobjid FROM pg_depend JOIN pg_attrdef ON pg_attrdef.oid = objid AND classid = 'pg_attrdef'::regclass
    WHERE refclassid = 'pg_class'::regclass AND adrelid = ANY(CAST(:tables AS oid[]))
) AS used
JOIN pg_sequence AS s ON s.seqrelid = used.id JOIN pg_class AS c ON c.oid = s.seqrelid
LEFT JOIN pg_depend AS own ON own.classid = 'pg_class'::regclass AND own.objid = s.seqrelid
     AND own.refclassid = 'pg_class'::regclass AND own.deptype IN ('a', 'i') AND own.refobjsubid > 0
     AND own.refobjid = ANY(CAST(:tables AS oid[]))
LEFT JOIN pg_attribute ON attrelid = own.refobjid AND attnum = own.refobjsubid
ORDER BY quoted
"""

# Which columns take their numbers from which sequence, just as they come.
DEFAULTS = """
SELECT adrelid::bigint AS "table", adnum AS number, refobjid::bigint AS sequence FROM pg_attrdef
JOIN pg_depend ON objid = pg_attrdef.oid AND classid = 'pg_attrdef'::regclass AND refclassid = 'pg_class'::regclass
JOIN pg_sequence ON seqrelid = refobjid WHERE adrelid = ANY(CAST(:tables AS oid[]))
AND pg_get_expr(adbin, adrelid) = format('nextval(%L::regclass)', seqrelid::regclass)
"""

PARTITIONS = """
WITH RECURSIVE tree AS (
    SELECT id, id AS root, 0 AS depth FROM unnest(CAST(:tables AS oid[])) AS id
    UNION ALL
    SELECT inhrelid, root, depth + 1 FROM tree JOIN pg_inherits ON inhparent = id
    JOIN pg_class ON pg_class.oid = inhrelid AND relispartition
)
SELECT id::bigint, root::bigint AS "table", relkind <> 'p' AS has_rows
FROM tree JOIN pg_class ON pg_class.oid = id WHERE depth > 0 ORDER BY depth, relname
"""
