"""What a PostgreSQL database has besides tables, which is not carried: each is told by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.core.schema import Note
from toolkit.engines.postgresql.schema.queries import rows

if TYPE_CHECKING:
    from toolkit.engines.postgresql.session import PostgresSession

_REASONS = {
    "view": "Only tables are carried.",
    "materialized view": "Only tables are carried.",
    "foreign table": "Its rows are elsewhere.",
    "empty": "It has no columns.",
    "unread": "This role may not read it.",
    "hidden": "Policies hide rows of it from this role.",
    "child": "Its rows are read, and carried, as those of {parent}.",
    "child with columns": "Its rows are read, and carried, as those of {parent}, without its own columns: {columns}.",
    "trigger": "Triggers are not carried.",
    "rule": "Rules are not carried.",
    "policy": "Policies are not carried.",
    "row level security": "It is not carried: there every role with rights to the table sees all rows.",
    "index": "It is not valid, as one is whose building was broken off.",
    "function": "Functions are carried only to PostgreSQL, and only those that tables rest on.",
    "sequence": "No table takes numbers from it.",
    "type": "No table has a column of it.",
    "statistics": "Extended statistics are not carried.",
}


def notes(connection: PostgresSession, tables: Sequence[int]) -> list[Note]:
    """What is there and is none of these tables, nor of what they rest on; nor of an extension's."""
    return [
        Note(row.place, row.what, _REASONS[row.reason].format(parent=row.parent, columns=row.columns))
        for row in rows(connection, _OTHERS, tables)
    ]


# Whatever is a user's: neither the server's own nor an extension's.
_OTHERS = """
WITH place AS (
    SELECT oid, nspname, CASE WHEN nspname <> ALL (current_schemas(false)) THEN nspname || '.' ELSE '' END AS prefix
    FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), foreigner AS (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relation AS (
    SELECT c.*, prefix || relname AS name FROM pg_class AS c JOIN place ON place.oid = relnamespace
    WHERE relpersistence <> 't' AND ('pg_class'::regclass, c.oid) NOT IN (SELECT * FROM foreigner)
), others AS (
    SELECT 1 AS rank, name AS place, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
           ELSE 'foreign table' END AS what, CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
           ELSE 'foreign table' END AS reason, NULL AS parent, NULL AS columns
    FROM relation WHERE relkind IN ('v', 'm', 'f') AND NOT relispartition
    UNION ALL
    SELECT 2, name, 'table', CASE
        WHEN parent IS NOT NULL AND columns IS NULL THEN 'child'
        WHEN parent IS NOT NULL THEN 'child with columns'
        WHEN NOT has_table_privilege(relation.oid, 'SELECT') THEN 'unread'
        WHEN row_security_active(relation.oid) THEN 'hidden' ELSE 'empty' END, parent, columns
    FROM relation
    LEFT JOIN LATERAL (SELECT string_agg(inhparent::regclass::text, ' and ') AS parent FROM pg_inherits
                       WHERE inhrelid = relation.oid) AS inherited ON true
    LEFT JOIN LATERAL (SELECT string_agg(attname, ', ' ORDER BY attnum) AS columns FROM pg_attribute
                       WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped AND attinhcount = 0) AS own
    ON true
    WHERE relkind IN ('r', 'p') AND NOT relispartition AND relation.oid <> ALL (CAST(:tables AS oid[]))
    UNION ALL
    SELECT 3, name, 'trigger ' || tgname, 'trigger', NULL, NULL FROM relation
    JOIN pg_trigger AS t ON tgrelid = relation.oid
    WHERE NOT tgisinternal AND coalesce(to_jsonb(t) ->> 'tgparentid', '0') = '0'
    UNION ALL
    SELECT 4, name, 'rule ' || rulename, 'rule', NULL, NULL FROM relation JOIN pg_rewrite ON ev_class = relation.oid
    WHERE rulename <> '_RETURN'
    UNION ALL
    SELECT 5, name, 'policy ' || polname, 'policy', NULL, NULL FROM relation JOIN pg_policy ON polrelid = relation.oid
    UNION ALL
    SELECT 6, name, 'row level security', 'row level security', NULL, NULL FROM relation
    WHERE relrowsecurity AND relation.oid = ANY (CAST(:tables AS oid[]))
    UNION ALL
    SELECT 6, name, 'index ' || indexrelid::regclass::text, 'index', NULL, NULL FROM relation
    JOIN pg_index ON indrelid = relation.oid JOIN pg_class AS x ON x.oid = indexrelid
    WHERE NOT indisvalid AND x.relkind = 'i'
    UNION ALL
    SELECT 7, prefix || stxname, 'statistics', 'statistics', NULL, NULL FROM pg_statistic_ext
    JOIN place ON place.oid = stxnamespace
    UNION ALL
    SELECT 8, name, 'sequence', 'sequence', NULL, NULL FROM relation WHERE relkind = 'S'
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid = relation.oid
                    AND classid = 'pg_attrdef'::regclass)
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = relation.oid
                    AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i'))
    UNION ALL
    SELECT 9, prefix || typname, 'type', 'type', NULL, NULL FROM pg_type AS t JOIN place ON place.oid = typnamespace
    LEFT JOIN pg_class AS row ON row.oid = typrelid
    WHERE typtype IN ('e', 'd', 'c', 'r') AND (typrelid = 0 OR row.relkind = 'c')
    AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM foreigner)
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE refclassid = 'pg_type'::regclass AND deptype IN ('n', 'a')
                    AND refobjid IN (t.oid, t.typarray)
                    AND classid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_attrdef'::regclass))
    UNION ALL
    SELECT 10, prefix || proname, 'function', 'function', NULL, NULL FROM pg_proc AS p
    JOIN place ON place.oid = pronamespace
    WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM foreigner)
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE refclassid = 'pg_proc'::regclass AND refobjid = p.oid
                    AND (classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_type'::regclass)
                         OR classid = 'pg_class'::regclass AND EXISTS (SELECT 1 FROM pg_class WHERE pg_class.oid = objid
                                                                       AND relkind IN ('i', 'I'))))
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'i')
)
SELECT DISTINCT rank, place::text, what, reason, parent, columns FROM others ORDER BY rank, place, what
"""
