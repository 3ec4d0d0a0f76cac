"""All that belongs to a table but its rows, by kind and in words: what another must have to be the same table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from msgspec import Struct

from toolkit.engines.postgresql.sql import literal


class Fingerprint(Struct, frozen=True):
    """By kind, what there is."""

    kinds: dict[str, Any]

    @classmethod
    def of(cls, connection: psycopg.Connection[Any], table: str) -> Fingerprint:
        """What the table of this quoted name has."""
        found = {}
        for kind, query in _KINDS.items():
            rows = connection.execute(query.replace("$TABLE", f"{literal(table)}::regclass")).fetchall()
            found[kind] = sorted(map(repr, rows))
        return cls(found)

    def unlike(self, other: Fingerprint) -> Sequence[str]:
        """The kinds of which another has something else."""
        return [kind for kind, found in self.kinds.items() if found != other.kinds[kind]]

    @property
    def hindrances(self) -> Sequence[str]:
        """The kinds that a new table could have only if whoever made them did so again."""
        return [kind for kind in _HINDRANCES if self.kinds[kind]]


_HINDRANCES = (
    "foreign keys",
    "views and functions",
    "triggers",
    "rules",
    "policies",
    "grants",
    "grants on columns",
    "publications",
    "subscriptions",
    "partitions or parents",
    "security labels",
)
_KINDS = {
    "foreign keys": (
        "SELECT conname, conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND "
        "(conrelid = $TABLE OR confrelid = $TABLE)"
    ),
    "views and functions": (
        "SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend AS d WHERE deptype = 'n' AND "
        "(refclassid = 'pg_class'::regclass AND refobjid = $TABLE OR refclassid = 'pg_type'::regclass AND refobjid IN "
        "(SELECT t.oid FROM pg_type AS t JOIN pg_class ON reltype = t.oid OR reltype = t.typelem "
        "WHERE pg_class.oid = $TABLE)) AND NOT (d.classid = 'pg_constraint'::regclass OR d.classid = "
        "'pg_attrdef'::regclass AND EXISTS (SELECT FROM pg_attrdef WHERE oid = d.objid AND adrelid = $TABLE))"
    ),
    "triggers": "SELECT tgname FROM pg_trigger WHERE tgrelid = $TABLE AND NOT tgisinternal",
    "rules": "SELECT rulename FROM pg_rewrite WHERE ev_class = $TABLE",
    "policies": (
        "SELECT polname FROM pg_policy WHERE polrelid = $TABLE UNION ALL SELECT 'row level security' FROM pg_class "
        "WHERE oid = $TABLE AND (relrowsecurity OR relforcerowsecurity)"
    ),
    "grants": "SELECT relacl::text FROM pg_class WHERE oid = $TABLE AND relacl IS NOT NULL",
    "grants on columns": (
        "SELECT attname, attacl::text FROM pg_attribute WHERE attrelid = $TABLE AND attacl IS NOT NULL "
        "AND NOT attisdropped"
    ),
    "publications": (
        "SELECT pubname FROM pg_publication_tables, pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace "
        "WHERE c.oid = $TABLE AND schemaname = nspname AND tablename = relname"
    ),
    "subscriptions": "SELECT srsubid FROM pg_subscription_rel WHERE srrelid = $TABLE",
    "partitions or parents": (
        "SELECT inhrelid, inhparent FROM pg_inherits WHERE $TABLE IN (inhrelid, inhparent) UNION ALL "
        "SELECT oid, oid FROM pg_class WHERE oid = $TABLE AND relkind <> 'r'"
    ),
    "security labels": "SELECT provider, label FROM pg_seclabel WHERE objoid = $TABLE",
    "numbers that the server gives": (
        "SELECT attname, attidentity, q.seqtypid, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, "
        "q.seqcycle, relname, relowner, relacl::text, obj_description(c.oid, 'pg_class') "
        "FROM pg_attribute JOIN pg_sequence AS q ON seqrelid = "
        "pg_get_serial_sequence($TABLE::text, attname)::regclass JOIN pg_class AS c ON c.oid = seqrelid "
        "WHERE attrelid = $TABLE AND attnum > 0 AND NOT attisdropped"
    ),
    "its kind, owner, tablespace or options": (
        "SELECT relkind, relpersistence, relowner, reltablespace, relam, reloptions, relreplident, reloftype, "
        "obj_description(oid, 'pg_class') FROM pg_class WHERE oid = $TABLE"
    ),
    "options of what lies beside it": (
        "SELECT beside.reloptions FROM pg_class AS c JOIN pg_class AS beside ON beside.oid = c.reltoastrelid "
        "WHERE c.oid = $TABLE"
    ),
    "columns": (
        "SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated, attcollation::regcollation::text, "
        "attstorage, attcompression, attoptions, attstattarget, pg_get_expr(adbin, adrelid), "
        "col_description(attrelid, attnum), pg_get_serial_sequence($TABLE::text, attname), row_number() OVER "
        "(ORDER BY attnum) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
        "WHERE attrelid = $TABLE AND attnum > 0 AND NOT attisdropped"
    ),
    "constraints": (
        "SELECT conname, contype, pg_get_constraintdef(oid), convalidated, obj_description(oid, 'pg_constraint') "
        "FROM pg_constraint WHERE conrelid = $TABLE AND contype NOT IN ('f', 't')"
    ),
    "indexes": (
        "SELECT pg_get_indexdef(indexrelid), indisclustered, indisreplident, indisvalid, reltablespace, reloptions, "
        "obj_description(indexrelid, 'pg_class'), (SELECT array_agg(attstattarget::text ORDER BY attnum) "
        "FROM pg_attribute WHERE attrelid = indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid "
        "WHERE indrelid = $TABLE"
    ),
    "statistics": (
        "SELECT pg_get_statisticsobjdef(oid), stxowner, to_jsonb(s) ->> 'stxstattarget', "
        "obj_description(oid, 'pg_statistic_ext') FROM pg_statistic_ext AS s WHERE stxrelid = $TABLE"
    ),
}
