"""What PostgreSQL's tables rest on: schemas, extensions, types, collations, functions; in an order that works."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from toolkit.engines.postgresql.schema.queries import rows
from toolkit.engines.postgresql.schema.text_search import TEXT_SEARCH

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession

Object = tuple[str, int]
"""A catalogue, and the number (oid) of what is in it."""


def ordered(
    connection: PostgresSession, tables: Sequence[int], statements: Mapping[Object, Sequence[str]]
) -> Iterator[str]:
    """The `statements` of tables and sequences, each behind those of what it rests on."""
    made = {**_statements(connection, tables), **statements}
    needs: dict[Object, list[Object]] = defaultdict(list)
    extensions: dict[Object, Object] = {}
    for row in rows(connection, f"{_NEEDED} {_NEEDS}", tables):
        own, other = (row.catalogue, row.id), (row.other_catalogue, row.other)
        if row.is_of_extension:
            extensions[own] = other
        else:
            needs[own].append(other)
    seen: set[Object] = set()

    def visit(each: Object) -> Iterator[str]:
        if each in seen:
            return
        seen.add(each)
        if each in extensions:
            yield from visit(extensions[each])
            return
        for need in needs[each]:
            yield from visit(need)
        yield from made.get(each, ())

    for each in statements:
        yield from visit(each)


def _statements(connection: PostgresSession, tables: Sequence[int]) -> dict[Object, Sequence[str]]:
    found: dict[Object, Sequence[str]] = {}
    types = (_COLLATIONS, _ENUMS, _DOMAINS, _COMPOSITES, _RANGES)
    for query in (_NAMESPACES, _EXTENSIONS, *types, _FUNCTIONS, *TEXT_SEARCH):
        for row in rows(connection, f"{_NEEDED} {query}", tables):
            comment = (row.comment,) if row.comment else ()
            found[row.catalogue, row.id] = (row.statement, *comment)
    return found


# From the tables on: what each object rests on, and what of its parts (defaults, checks, indexes) rests on others. A
# sequence does not rest on the column that owns it.
_NEEDED = """
WITH RECURSIVE edge AS (
    SELECT classid, objid, refclassid, refobjid, deptype = 'e' AS is_of_extension FROM pg_depend
    WHERE refobjid >= 16384 AND deptype <> 'P' AND deptype <> 'S'
    AND NOT (refobjsubid > 0 AND classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass)
    UNION ALL
    SELECT refclassid, refobjid, classid, objid, false FROM pg_depend
    WHERE deptype IN ('a', 'i') AND (
        classid = 'pg_attrdef'::regclass
        OR classid = 'pg_constraint'::regclass
           AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE oid = objid AND contype = 'f')
        OR classid = 'pg_class'::regclass
           AND EXISTS (SELECT 1 FROM pg_class WHERE oid = objid AND relkind IN ('i', 'I', 'c')))
), needed AS (
    SELECT 'pg_class'::regclass::oid AS classid, id AS objid FROM unnest(CAST(:tables AS oid[])) AS id
    UNION
    SELECT refclassid, refobjid FROM needed JOIN edge USING (classid, objid)
)
"""
_NEEDS = """
SELECT DISTINCT classid::regclass::text AS catalogue, objid::bigint AS id,
       refclassid::regclass::text AS other_catalogue, refobjid::bigint AS other, is_of_extension
FROM needed JOIN edge USING (classid, objid) WHERE (classid, objid) <> (refclassid, refobjid) ORDER BY id, other
"""
_NAMESPACES = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id,
       'CREATE SCHEMA IF NOT EXISTS ' || quote_ident(nspname) AS statement,
       'COMMENT ON SCHEMA ' || quote_ident(nspname) || ' IS ' || quote_literal(obj_description(objid, 'pg_namespace'))
           AS comment
FROM needed JOIN pg_namespace ON pg_namespace.oid = objid
WHERE classid = 'pg_namespace'::regclass AND nspname <> coalesce(current_schema(), '')
"""
_EXTENSIONS = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id, 'CREATE EXTENSION IF NOT EXISTS '
       || quote_ident(extname) || CASE WHEN nspname IN ('pg_catalog', current_schema()) THEN ''
       ELSE ' SCHEMA ' || quote_ident(nspname) END AS statement, NULL AS comment
FROM needed JOIN pg_extension ON pg_extension.oid = objid JOIN pg_namespace ON pg_namespace.oid = extnamespace
WHERE classid = 'pg_extension'::regclass
"""
_COLLATIONS = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id,
       'CREATE COLLATION ' || objid::regcollation || ' (PROVIDER = '
       || CASE collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END
       || CASE WHEN collprovider IN ('i', 'b') THEN ', LOCALE = ' || quote_literal(coalesce(
              to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', collcollate::text))
          ELSE ', LC_COLLATE = ' || quote_literal(collcollate) || ', LC_CTYPE = ' || quote_literal(collctype) END
       || CASE WHEN collisdeterministic THEN '' ELSE ', DETERMINISTIC = false' END
       || coalesce(', RULES = ' || quote_literal(to_jsonb(c) ->> 'collicurules'), '') || ')' AS statement,
       'COMMENT ON COLLATION ' || objid::regcollation || ' IS ' || quote_literal(obj_description(objid, 'pg_collation'))
           AS comment
FROM needed JOIN pg_collation AS c ON c.oid = objid WHERE classid = 'pg_collation'::regclass
"""
_ENUMS = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id, 'CREATE TYPE ' || objid::regtype || ' AS ENUM ('
       || coalesce((SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) FROM pg_enum
                    WHERE enumtypid = objid), '') || ')' AS statement,
       'COMMENT ON TYPE ' || objid::regtype || ' IS ' || quote_literal(obj_description(objid, 'pg_type')) AS comment
FROM needed JOIN pg_type ON pg_type.oid = objid WHERE classid = 'pg_type'::regclass AND typtype = 'e'
"""
_DOMAINS = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id,
       'CREATE DOMAIN ' || objid::regtype || ' AS ' || format_type(t.typbasetype, t.typtypmod)
       || CASE WHEN t.typcollation <> base.typcollation THEN ' COLLATE ' || t.typcollation::regcollation ELSE '' END
       || coalesce(' DEFAULT ' || pg_get_expr(t.typdefaultbin, 'pg_type'::regclass), '')
       || coalesce((SELECT string_agg(format(' CONSTRAINT %I %s', conname, CASE contype WHEN 'n' THEN 'NOT NULL'
                    ELSE 'CHECK (' || pg_get_expr(conbin, 0) || ')' END), '' ORDER BY conname)
                    FROM pg_constraint WHERE contypid = objid), '')
       || CASE WHEN t.typnotnull AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE contypid = objid AND contype = 'n')
          THEN ' NOT NULL' ELSE '' END AS statement,
       concat_ws('; ', 'COMMENT ON DOMAIN ' || objid::regtype || ' IS '
                       || quote_literal(obj_description(objid, 'pg_type')),
                 (SELECT string_agg(format('COMMENT ON CONSTRAINT %I ON DOMAIN %s IS %L', conname, objid::regtype,
                                           description), '; ' ORDER BY conname)
                  FROM pg_constraint AS c JOIN pg_description AS d ON d.objoid = c.oid
                  WHERE contypid = needed.objid AND d.classoid = 'pg_constraint'::regclass)) AS comment
FROM needed JOIN pg_type AS t ON t.oid = objid JOIN pg_type AS base ON base.oid = t.typbasetype
WHERE classid = 'pg_type'::regclass AND t.typtype = 'd'
"""
_COMPOSITES = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id, 'CREATE TYPE ' || objid::regtype || ' AS ('
       || coalesce((SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod)
                           || CASE WHEN attcollation <> a.typcollation
                              THEN ' COLLATE ' || attcollation::regcollation ELSE '' END, ', ' ORDER BY attnum)
                    FROM pg_attribute JOIN pg_type AS a ON a.oid = atttypid
                    WHERE attrelid = t.typrelid AND attnum > 0 AND NOT attisdropped), '') || ')' AS statement,
       concat_ws('; ', 'COMMENT ON TYPE ' || objid::regtype || ' IS '
                       || quote_literal(obj_description(objid, 'pg_type')),
                 (SELECT string_agg(format('COMMENT ON COLUMN %s.%I IS %L', objid::regtype, attname, description),
                                    '; ' ORDER BY attnum)
                  FROM pg_attribute AS a JOIN pg_description AS d
                  ON d.objoid = attrelid AND d.objsubid = attnum AND d.classoid = 'pg_class'::regclass
                  WHERE attrelid = t.typrelid AND attnum > 0)) AS comment
FROM needed JOIN pg_type AS t ON t.oid = objid JOIN pg_class ON pg_class.oid = t.typrelid AND relkind = 'c'
WHERE classid = 'pg_type'::regclass
"""
_RANGES = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id,
       'CREATE TYPE ' || objid::regtype || ' AS RANGE (SUBTYPE = ' || format_type(rngsubtype, NULL)
       || CASE WHEN opcdefault THEN '' ELSE format(', SUBTYPE_OPCLASS = %I.%I', nspname, opcname) END
       || CASE WHEN rngcollation <> 0 AND rngcollation <> sub.typcollation
          THEN ', COLLATION = ' || rngcollation::regcollation ELSE '' END
       || CASE WHEN rngsubdiff <> 0 THEN ', SUBTYPE_DIFF = ' || rngsubdiff ELSE '' END
       || coalesce(', MULTIRANGE_TYPE_NAME = ' || (to_jsonb(r) ->> 'rngmultitypid')::oid::regtype, '') || ')'
           AS statement,
       'COMMENT ON TYPE ' || objid::regtype || ' IS ' || quote_literal(obj_description(objid, 'pg_type')) AS comment
FROM needed JOIN pg_range AS r ON rngtypid = objid JOIN pg_type AS sub ON sub.oid = rngsubtype
JOIN pg_opclass AS o ON o.oid = rngsubopc JOIN pg_namespace AS n ON n.oid = opcnamespace
WHERE classid = 'pg_type'::regclass
"""
# Always shown with their schema, which is left out as elsewhere.
_FUNCTIONS = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id,
       CASE WHEN nspname = current_schema() THEN head || substr(definition, length(head || quote_ident(nspname)) + 2)
       ELSE definition END AS statement,
       'COMMENT ON ROUTINE ' || objid::regprocedure || ' IS ' || quote_literal(obj_description(objid, 'pg_proc'))
           AS comment
FROM needed JOIN pg_proc ON pg_proc.oid = objid JOIN pg_namespace AS n ON n.oid = pronamespace
CROSS JOIN LATERAL (
    SELECT CASE WHEN prokind = 'f' THEN 'CREATE OR REPLACE FUNCTION ' ELSE 'CREATE OR REPLACE PROCEDURE ' END AS head,
           CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(objid) END AS definition
) AS shown
WHERE classid = 'pg_proc'::regclass AND prokind IN ('f', 'p')
AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE pg_depend.classid = 'pg_proc'::regclass AND pg_depend.objid = needed.objid
                AND deptype IN ('e', 'i'))
"""
