-- Rails: datetime(6), booleans 1 and 0 (of old versions 't' and 'f'), json, polymorphic references, join tables without a key.
CREATE TABLE "schema_migrations" ("version" varchar NOT NULL PRIMARY KEY);
CREATE TABLE "ar_internal_metadata" ("key" varchar NOT NULL PRIMARY KEY, "value" varchar, "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL);
CREATE TABLE "accounts" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "email" varchar DEFAULT '' NOT NULL, "admin" boolean DEFAULT 0 NOT NULL, "subscribed" boolean DEFAULT 't', "balance" decimal(8,2) DEFAULT 0.0, "settings" json DEFAULT '{}', "avatar" blob, "born_on" date, "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL);
CREATE TABLE "comments" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "commentable_type" varchar, "commentable_id" integer, "body" text, "ratio" float, "parent_id" integer, "account_id" integer NOT NULL, "created_at" datetime(6) NOT NULL, CONSTRAINT "fk_rails_5cc7b8aa4e" FOREIGN KEY ("account_id") REFERENCES "accounts" ("id") ON DELETE CASCADE, CONSTRAINT "fk_rails_31554e7034" FOREIGN KEY ("parent_id") REFERENCES "comments" ("id"));
CREATE TABLE "labels" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "name" varchar(30) NOT NULL, "position" integer(8), "token" uuid);
CREATE TABLE "accounts_labels" ("account_id" integer NOT NULL, "label_id" integer NOT NULL);
CREATE UNIQUE INDEX "index_accounts_on_email" ON "accounts" ("email");
CREATE INDEX "index_comments_on_commentable" ON "comments" ("commentable_type", "commentable_id");
CREATE INDEX "index_accounts_on_created_at" ON "accounts" ("created_at" DESC) WHERE admin = 1;
INSERT INTO "schema_migrations" VALUES ('20240101000000'), ('20240202000000');
INSERT INTO "ar_internal_metadata" VALUES ('environment', 'production', '2024-01-01 00:00:00', '2024-01-01 00:00:00');
INSERT INTO "accounts" VALUES
  (1, 'a@example.org', 1, 't', 12.5, '{"theme":"dark","n":1.0}', x'ffd8', '1999-12-31', '2024-01-02 03:04:05.678901', '2024-01-02 03:04:05'),
  (2, '', 0, 'f', NULL, NULL, NULL, NULL, '2024-01-02 03:04:05.100000', '2024-01-02 03:04:05.000001');
INSERT INTO "comments" VALUES
  (10, 'Post', 5, 'Très bien' || char(13, 10) || '"zitiert"', 0.1, 12, 1, '2024-01-02 03:04:05.678901'),
  (12, NULL, NULL, '', NULL, NULL, 2, '2024-01-02 03:04:05.678901');
INSERT INTO "labels" VALUES (1, 'rot', 9223372036854775807, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), (2, 'blau', NULL, NULL);
INSERT INTO "accounts_labels" VALUES (1, 1), (1, 2), (1, 2);
