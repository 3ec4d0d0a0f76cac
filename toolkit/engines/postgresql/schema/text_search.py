"""How PostgreSQL's tables search in texts: the configurations that columns and indexes name, and their dictionaries."""

from __future__ import annotations

_DICTIONARIES = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id,
       format('CREATE TEXT SEARCH DICTIONARY %s (TEMPLATE = %I.%I%s)', objid::regdictionary, nspname, tmplname,
              ', ' || dictinitoption) AS statement,
       'COMMENT ON TEXT SEARCH DICTIONARY ' || objid::regdictionary || ' IS '
           || quote_literal(obj_description(objid, 'pg_ts_dict')) AS comment
FROM needed JOIN pg_ts_dict AS d ON d.oid = objid JOIN pg_ts_template AS t ON t.oid = dicttemplate
JOIN pg_namespace AS n ON n.oid = tmplnamespace WHERE classid = 'pg_ts_dict'::regclass
"""
_CONFIGURATIONS = """
SELECT classid::regclass::text AS catalogue, objid::bigint AS id,
       format('CREATE TEXT SEARCH CONFIGURATION %s (PARSER = %I.%I)', objid::regconfig, nspname, prsname)
       || coalesce((SELECT string_agg(format('; ALTER TEXT SEARCH CONFIGURATION %s ADD MAPPING FOR %I WITH %s',
                                             objid::regconfig, alias, dictionaries), '' ORDER BY tokid)
                    FROM ts_token_type(cfgparser) JOIN (
                        SELECT maptokentype, string_agg(mapdict::regdictionary::text, ', ' ORDER BY mapseqno)
                                                 AS dictionaries
                        FROM pg_ts_config_map WHERE mapcfg = objid GROUP BY maptokentype
                    ) AS mapped ON maptokentype = tokid), '') AS statement,
       'COMMENT ON TEXT SEARCH CONFIGURATION ' || objid::regconfig || ' IS '
           || quote_literal(obj_description(objid, 'pg_ts_config')) AS comment
FROM needed JOIN pg_ts_config AS c ON c.oid = objid JOIN pg_ts_parser AS p ON p.oid = cfgparser
JOIN pg_namespace AS n ON n.oid = prsnamespace WHERE classid = 'pg_ts_config'::regclass
"""
TEXT_SEARCH = (_DICTIONARIES, _CONFIGURATIONS)
"""The questions for the statements that make them, once it is known what is needed."""
