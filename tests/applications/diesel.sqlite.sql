-- Diesel (Rust): statements written by hand for each engine; bool is BOOLEAN or INTEGER, UUIDs are texts, times have up to nine digits.
CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE users (
  uuid          TEXT     NOT NULL PRIMARY KEY,
  created_at    DATETIME NOT NULL,
  email         TEXT     NOT NULL UNIQUE,
  password_hash BLOB     NOT NULL,
  totp_secret   TEXT,
  enabled       BOOLEAN  NOT NULL DEFAULT 1
);
CREATE TABLE folders (uuid TEXT NOT NULL PRIMARY KEY, user_uuid TEXT NOT NULL REFERENCES users (uuid), name TEXT NOT NULL);
CREATE TABLE ciphers (
  uuid       TEXT NOT NULL PRIMARY KEY,
  user_uuid  TEXT REFERENCES users (uuid),
  data       TEXT NOT NULL,
  deleted_at DATETIME
);
CREATE TABLE folders_ciphers (
  cipher_uuid TEXT NOT NULL REFERENCES ciphers (uuid),
  folder_uuid TEXT NOT NULL REFERENCES folders (uuid),
  PRIMARY KEY (cipher_uuid, folder_uuid)
);
CREATE TABLE twofactor (
  uuid      TEXT    NOT NULL PRIMARY KEY,
  user_uuid TEXT    NOT NULL REFERENCES users (uuid),
  atype     INTEGER NOT NULL,
  enabled   INTEGER NOT NULL,
  last_used INTEGER NOT NULL DEFAULT 0,
  UNIQUE (user_uuid, atype)
);
INSERT INTO __diesel_schema_migrations VALUES ('20180114171611', '2020-01-01 00:00:00'), ('20180217205753', '2020-01-01 00:00:00');
INSERT INTO users VALUES
  ('aaaaaaaa-0000-4000-8000-000000000001', '2019-10-10 11:12:13.123456789', 'a@example.org', x'00ff80fe', NULL, 1),
  ('aaaaaaaa-0000-4000-8000-000000000002', '2019-10-10 11:12:13', 'ü@example.org', x'', '', 0);
INSERT INTO folders VALUES ('ffffffff-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001', 'Ordner ☃');
INSERT INTO ciphers VALUES
  ('cccccccc-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001', '{"Uri":null,"n":1.10}', NULL),
  ('cccccccc-0000-4000-8000-000000000002', NULL, '', '2021-02-28 23:59:59.5');
INSERT INTO folders_ciphers VALUES ('cccccccc-0000-4000-8000-000000000001', 'ffffffff-0000-4000-8000-000000000001');
INSERT INTO twofactor VALUES
  ('eeeeeeee-0000-4000-8000-000000000001', 'aaaaaaaa-0000-4000-8000-000000000001', 0, 1, 1570000000000),
  ('eeeeeeee-0000-4000-8000-000000000002', 'aaaaaaaa-0000-4000-8000-000000000002', 1, 0, 0);
