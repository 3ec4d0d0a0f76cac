CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE users (
  uuid          CHAR(36)     NOT NULL PRIMARY KEY,
  created_at    TIMESTAMP    NOT NULL,
  email         VARCHAR(255) NOT NULL UNIQUE,
  password_hash BYTEA        NOT NULL,
  totp_secret   TEXT,
  enabled       BOOLEAN      NOT NULL DEFAULT true
);
CREATE TABLE folders (uuid CHAR(36) NOT NULL PRIMARY KEY, user_uuid CHAR(36) NOT NULL REFERENCES users (uuid), name TEXT NOT NULL);
CREATE TABLE ciphers (uuid CHAR(36) NOT NULL PRIMARY KEY, user_uuid CHAR(36) REFERENCES users (uuid), data TEXT NOT NULL, deleted_at TIMESTAMP);
CREATE TABLE folders_ciphers (
  cipher_uuid CHAR(36) NOT NULL REFERENCES ciphers (uuid),
  folder_uuid CHAR(36) NOT NULL REFERENCES folders (uuid),
  PRIMARY KEY (cipher_uuid, folder_uuid)
);
CREATE TABLE twofactor (
  uuid      CHAR(36) NOT NULL PRIMARY KEY,
  user_uuid CHAR(36) NOT NULL REFERENCES users (uuid),
  atype     INTEGER  NOT NULL,
  enabled   BOOLEAN  NOT NULL,
  last_used BIGINT   NOT NULL DEFAULT 0,
  UNIQUE (user_uuid, atype)
);
INSERT INTO __diesel_schema_migrations VALUES ('20190912100000', '2024-01-01 00:00:00');
