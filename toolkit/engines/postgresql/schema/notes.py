"""What a PostgreSQL database has besides tables, which is not carried: each is told by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.core.schema import Note, TypesBy
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
    "index": "It is not valid, as after an interrupted CREATE INDEX CONCURRENTLY.",
    "function": "Functions are carried only to PostgreSQL, and only those that tables rest on.",
    "sequence": "No table takes numbers from it.",
    "large objects": "Only what is in columns is carried.",
    "type": "No table has a column of it.",
    "statistics": "Extended statistics are not carried.",
    "text search": "No table's column or index names it.",
    "beside": "It is not carried.",
}
_UNREAD = ("unread", "hidden")
_GRANT = "Give the role the right (GRANT SELECT ON {} TO …; BYPASSRLS, where policies hide rows)"
_PARAMETERS = "storage parameters"
_OF_TABLES = {
    "grants": "Rights are not carried: give them to the roles there.",
    "owner": "What is made belongs to the role that makes it.",
    _PARAMETERS: "They are carried only to PostgreSQL.",
    "replica identity": "It is not carried.",
    "cluster": "It is not carried.",
    "tablespace": "It is not carried: tables and indexes are made in the default one.",
    "type of the table": "It is made as a table of its own, not of that type (OF).",
    "storage of columns": "SET STORAGE, COMPRESSION, STATISTICS and options of columns are not carried.",
}
_SHOWN_TABLES = 5


def notes(connection: PostgresSession, tables: Sequence[int], types: TypesBy) -> list[Note]:
    """What is there and is none of these tables, nor of what they rest on; nor of an extension's."""
    others = [
        Note(
            row.place,
            row.what,
            _REASONS[row.reason].format(parent=row.parent, columns=row.columns),
            remedy=_GRANT.format(row.place) if row.reason in _UNREAD else None,
        )
        for row in rows(connection, _OTHERS, tables)
    ]
    (found,) = rows(connection, _UNUSUAL, tables)
    return others + [
        Note(_listed(names), what, reason, is_of_made=True)
        for (what, reason), names in zip(_OF_TABLES.items(), found, strict=True)
        # Another database of PostgreSQL's gets the statements themselves.
        if names and not (what == _PARAMETERS and types is TypesBy.STORAGE)
    ]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_TABLES
    return ", ".join(names[:_SHOWN_TABLES]) + (f" and {more} more" if more > 0 else "")


# What tables have beside their definitions, where somebody has set it: the names of those that have it.
_UNUSUAL = """
SELECT array_agg(name ORDER BY name) FILTER (
           WHERE EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee <> relowner)
           OR EXISTS (SELECT FROM pg_attribute WHERE attrelid = id AND attacl IS NOT NULL AND NOT attisdropped)),
       array_agg(name ORDER BY name) FILTER (WHERE pg_get_userbyid(relowner) <> current_user),
       array_agg(name ORDER BY name) FILTER (WHERE reloptions IS NOT NULL),
       array_agg(name ORDER BY name) FILTER (WHERE relreplident <> 'd'),
       array_agg(name ORDER BY name) FILTER (
           WHERE EXISTS (SELECT FROM pg_index WHERE indrelid = id AND indisclustered)),
       array_agg(name ORDER BY name) FILTER (
           WHERE reltablespace <> 0 OR EXISTS (SELECT FROM pg_index JOIN pg_class AS x ON x.oid = indexrelid
                                               WHERE indrelid = relation.id AND x.reltablespace <> 0)),
       array_agg(name ORDER BY name) FILTER (WHERE reloftype <> 0),
       array_agg(name ORDER BY name) FILTER (
           WHERE EXISTS (SELECT FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = atttypid
                         WHERE attrelid = relation.id AND attnum > 0 AND NOT attisdropped
                         AND (attstorage <> typstorage OR attoptions IS NOT NULL
                              OR coalesce(to_jsonb(a) ->> 'attcompression', '') <> ''
                              OR coalesce((to_jsonb(a) ->> 'attstattarget')::int, -1) > -1))
           OR EXISTS (SELECT FROM pg_index JOIN pg_attribute AS a ON attrelid = indexrelid
                      WHERE indrelid = relation.id AND coalesce((to_jsonb(a) ->> 'attstattarget')::int, -1) > -1))
FROM (SELECT c.*, c.oid AS id, c.oid::regclass::text AS name FROM pg_class AS c
      WHERE c.oid = ANY (CAST(:tables AS oid[]))) AS relation
"""

# Whatever is a user's: neither the server's own nor an extension's. The server's functions and types are thousands, and
# have numbers below 16384 (FirstNormalObjectId): to leave them out first takes 0.5 in place of 3.5 ms.
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
    WHERE t.oid >= 16384 AND typtype IN ('e', 'd', 'c', 'r') AND (typrelid = 0 OR row.relkind = 'c')
    AND ('pg_type'::regclass, t.oid) NOT IN (SELECT * FROM foreigner)
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE refclassid = 'pg_type'::regclass AND deptype IN ('n', 'a')
                    AND refobjid IN (t.oid, t.typarray)
                    AND classid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_attrdef'::regclass))
    UNION ALL
    SELECT 10, prefix || proname, 'function', 'function', NULL, NULL FROM pg_proc AS p
    JOIN place ON place.oid = pronamespace
    WHERE p.oid >= 16384 AND ('pg_proc'::regclass, p.oid) NOT IN (SELECT * FROM foreigner)
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE refclassid = 'pg_proc'::regclass AND refobjid = p.oid
                    AND (classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_type'::regclass)
                         OR classid = 'pg_class'::regclass AND EXISTS (SELECT 1 FROM pg_class WHERE pg_class.oid = objid
                                                                       AND relkind IN ('i', 'I'))))
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'i')
    UNION ALL
    SELECT 11, 'pg_largeobject', 'large objects: ' || count(*), 'large objects', NULL, NULL FROM pg_largeobject_metadata
    HAVING count(*) > 0
    UNION ALL
    SELECT 12, prefix || cfgname, 'text search configuration', 'text search', NULL, NULL FROM pg_ts_config AS s
    JOIN place ON place.oid = cfgnamespace WHERE s.oid >= 16384
    AND ('pg_ts_config'::regclass, s.oid) NOT IN (SELECT * FROM foreigner)
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE refclassid = 'pg_ts_config'::regclass AND refobjid = s.oid
                    AND classid IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass, 'pg_class'::regclass))
    UNION ALL
    SELECT 12, prefix || dictname, 'text search dictionary', 'text search', NULL, NULL FROM pg_ts_dict AS s
    JOIN place ON place.oid = dictnamespace WHERE s.oid >= 16384
    AND ('pg_ts_dict'::regclass, s.oid) NOT IN (SELECT * FROM foreigner)
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE refclassid = 'pg_ts_dict'::regclass AND refobjid = s.oid)
    UNION ALL
    SELECT 13, name, what, 'beside', NULL, NULL FROM (
        SELECT 'pg_cast'::regclass AS kind, oid, 'cast' AS what,
               format_type(castsource, NULL) || ' AS ' || format_type(casttarget, NULL) AS name FROM pg_cast
        UNION ALL
        SELECT 'pg_operator'::regclass, o.oid, 'operator', prefix || oprname || ' (' || concat_ws(', ',
               format_type(nullif(oprleft, 0), NULL), format_type(oprright, NULL)) || ')'
        FROM pg_operator AS o JOIN place ON place.oid = oprnamespace
        UNION ALL
        SELECT 'pg_opclass'::regclass, o.oid, 'operator class', prefix || opcname
        FROM pg_opclass AS o JOIN place ON place.oid = opcnamespace
        UNION ALL
        SELECT 'pg_publication'::regclass, oid, 'publication', pubname FROM pg_publication
        UNION ALL
        SELECT 'pg_event_trigger'::regclass, oid, 'event trigger', evtname FROM pg_event_trigger
        UNION ALL
        SELECT 'pg_default_acl'::regclass, oid, 'default privileges',
               CASE defaclnamespace WHEN 0 THEN defaclrole::regrole::text ELSE defaclnamespace::regnamespace::text END
        FROM pg_default_acl
    ) AS beside
    WHERE oid >= 16384 AND (kind, oid) NOT IN (SELECT * FROM foreigner)
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = kind AND objid = beside.oid AND deptype = 'i')
)
SELECT DISTINCT rank, place::text, what, reason, parent, columns FROM others ORDER BY rank, place, what
"""
