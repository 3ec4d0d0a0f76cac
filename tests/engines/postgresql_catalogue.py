"""Everything that PostgreSQL's own catalogue says of a database's tables and of what they rest on, to compare two."""

from __future__ import annotations

import psycopg
from psycopg import sql


def catalogue(url: str) -> list[str]:
    """One line for each object and each of its properties, without numbers (oid) and without what no user made."""
    found = []
    with psycopg.connect(url) as connection:
        connection.execute("SET search_path = ''")
        for kind, query in _QUERIES.items():
            found += [f"{kind} {shown}" for (shown,) in connection.execute(query.encode()).fetchall()]
        sequences = connection.execute("SELECT schemaname, sequencename FROM pg_sequences ORDER BY 1, 2").fetchall()
        for schema, name in sequences:
            state = sql.SQL("SELECT last_value, is_called FROM {}.{}").format(
                sql.Identifier(schema), sql.Identifier(name)
            )
            found.append(f"number {schema}.{name} {connection.execute(state).fetchone()}")
    return found


_OWN = "nspname !~ '^pg_' AND nspname <> 'information_schema'"
_QUERIES = {
    "schema": f"""
        SELECT ROW(nspname, obj_description(oid, 'pg_namespace'))::text FROM pg_namespace WHERE {_OWN} ORDER BY 1""",
    "extension": """
        SELECT ROW(extname, extnamespace::regnamespace)::text FROM pg_extension ORDER BY 1""",
    "relation": f"""
        SELECT ROW(c.oid::regclass, relkind, relpersistence, reloptions, pg_get_partkeydef(c.oid), relispartition,
                   pg_get_expr(relpartbound, c.oid), relrowsecurity, obj_description(c.oid, 'pg_class'),
                   ARRAY(SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = c.oid))::text
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE {_OWN} AND relkind IN ('r', 'p', 'S', 'i', 'I', 'c') ORDER BY 1""",
    "column": f"""
        SELECT ROW(attrelid::regclass, row_number() OVER (PARTITION BY attrelid ORDER BY attnum), attname,
                   format_type(atttypid, atttypmod), attndims, attnotnull,
                   pg_get_expr(adbin, adrelid), attgenerated, attidentity, attcollation::regcollation, attislocal,
                   attinhcount, col_description(attrelid, attnum))::text
        FROM pg_attribute JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE {_OWN} AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'c') ORDER BY 1""",
    # Foreign keys of partitions to partitions have names that the server makes up; what a key says of inheriting, too.
    "constraint": f"""
        SELECT ROW(CASE WHEN contype <> 'f' OR conparentid = 0 THEN conname END, conrelid::regclass,
                   contypid::regtype, contype, pg_get_constraintdef(c.oid), condeferrable, condeferred, convalidated,
                   conislocal, coninhcount, contype NOT IN ('p', 'u') AND connoinherit, conparentid <> 0,
                   obj_description(c.oid, 'pg_constraint'))::text
        FROM pg_constraint AS c JOIN pg_namespace AS n ON n.oid = connamespace WHERE {_OWN} ORDER BY 1""",
    "index": f"""
        SELECT ROW(pg_get_indexdef(indexrelid), indisvalid, indisprimary, indimmediate, inhparent::regclass)::text
        FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_namespace AS n ON n.oid = relnamespace
        LEFT JOIN pg_inherits ON inhrelid = indexrelid WHERE {_OWN} ORDER BY 1""",
    "type": f"""
        SELECT ROW(t.oid::regtype, typtype, format_type(typbasetype, typtypmod), typnotnull, typndims,
                   pg_get_expr(typdefaultbin, 0), typcollation::regcollation, obj_description(t.oid, 'pg_type'),
                   ARRAY(SELECT enumlabel FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder),
                   rngsubtype::regtype, rngmultitypid::regtype, rngcollation::regcollation, rngsubdiff)::text
        FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = typnamespace LEFT JOIN pg_range ON rngtypid = t.oid
        WHERE {_OWN} ORDER BY 1""",
    "collation": f"""
        SELECT ROW(c.oid::regcollation, collprovider, collisdeterministic, collcollate, colllocale, collicurules,
                   obj_description(c.oid, 'pg_collation'))::text
        FROM pg_collation AS c JOIN pg_namespace AS n ON n.oid = collnamespace WHERE {_OWN} ORDER BY 1""",
    "function": f"""
        SELECT ROW(pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc'))::text
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
        WHERE {_OWN} AND prokind IN ('f', 'p') AND NOT EXISTS (
            SELECT 1 FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype IN ('e', 'i'))
        ORDER BY 1""",
    "sequence": f"""
        SELECT ROW(seqrelid::regclass, seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle,
                   ARRAY(SELECT (refobjid::regclass, refobjsubid, deptype)::text FROM pg_depend
                         WHERE classid = 'pg_class'::regclass AND objid = seqrelid AND deptype IN ('a', 'i')))::text
        FROM pg_sequence JOIN pg_class AS c ON c.oid = seqrelid JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE {_OWN} ORDER BY 1""",
}
