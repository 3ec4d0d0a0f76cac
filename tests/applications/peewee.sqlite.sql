-- Peewee: bool is INTEGER, UUIDField 32 digits in TEXT, TimestampField a number of seconds, reserved names, SET NULL.
CREATE TABLE "migratehistory" ("id" INTEGER NOT NULL PRIMARY KEY, "name" VARCHAR(255) NOT NULL, "migrated_at" DATETIME NOT NULL);
CREATE TABLE "user" ("id" INTEGER NOT NULL PRIMARY KEY, "username" VARCHAR(255) NOT NULL, "active" INTEGER NOT NULL, "token" TEXT, "seen" INTEGER NOT NULL, "balance" DECIMAL(10, 5) NOT NULL, "joined" DATETIME NOT NULL);
CREATE TABLE "group" ("key" VARCHAR(20) NOT NULL PRIMARY KEY, "order" SMALLINT NOT NULL, "open" TIME, "day" DATE, "parent_id" VARCHAR(20), FOREIGN KEY ("parent_id") REFERENCES "group" ("key") ON DELETE SET NULL);
CREATE TABLE "membership" ("user_id" INTEGER NOT NULL, "group_id" VARCHAR(20) NOT NULL, "note" TEXT NOT NULL, PRIMARY KEY ("user_id", "group_id"), FOREIGN KEY ("user_id") REFERENCES "user" ("id") ON DELETE CASCADE, FOREIGN KEY ("group_id") REFERENCES "group" ("key") ON DELETE CASCADE);
CREATE TABLE "upload" ("id" INTEGER NOT NULL PRIMARY KEY, "owner_id" INTEGER, "content" BLOB NOT NULL, "size" BIGINT NOT NULL, "share" REAL NOT NULL, FOREIGN KEY ("owner_id") REFERENCES "user" ("id"));
CREATE UNIQUE INDEX "user_username" ON "user" ("username");
CREATE INDEX "membership_user_id" ON "membership" ("user_id");
INSERT INTO "migratehistory" VALUES (1, '001_initial', '2024-01-01 00:00:00.123456');
INSERT INTO "user" VALUES
  (1, 'huey', 1, 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 1700000000, 1.00001, '2024-01-02 03:04:05.678901'),
  (3, 'Ægir', 0, NULL, 0, 99999, '2024-01-02 00:00:00');
INSERT INTO "group" VALUES ('a', 1, '12:00:00.000001', '2024-02-29', 'b'), ('b', -32768, NULL, NULL, NULL);
INSERT INTO "membership" VALUES (1, 'a', ''), (1, 'b', 'x'), (3, 'a', 'null');
INSERT INTO "upload" VALUES (1, 1, x'', 5000000000, 0.1), (2, NULL, x'00', 0, 1e300);
