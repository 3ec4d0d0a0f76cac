CREATE TABLE "migratehistory" ("id" SERIAL NOT NULL PRIMARY KEY, "name" VARCHAR(255) NOT NULL, "migrated_at" TIMESTAMP NOT NULL);
CREATE TABLE "user" ("id" SERIAL NOT NULL PRIMARY KEY, "username" VARCHAR(255) NOT NULL, "active" BOOLEAN NOT NULL, "token" UUID, "seen" BIGINT NOT NULL, "balance" NUMERIC(10, 5) NOT NULL, "joined" TIMESTAMP NOT NULL);
CREATE TABLE "group" ("key" VARCHAR(20) NOT NULL PRIMARY KEY, "order" SMALLINT NOT NULL, "open" TIME, "day" DATE, "parent_id" VARCHAR(20), FOREIGN KEY ("parent_id") REFERENCES "group" ("key") ON DELETE SET NULL);
CREATE TABLE "membership" ("user_id" INTEGER NOT NULL, "group_id" VARCHAR(20) NOT NULL, "note" TEXT NOT NULL, PRIMARY KEY ("user_id", "group_id"), FOREIGN KEY ("user_id") REFERENCES "user" ("id") ON DELETE CASCADE, FOREIGN KEY ("group_id") REFERENCES "group" ("key") ON DELETE CASCADE);
CREATE TABLE "upload" ("id" SERIAL NOT NULL PRIMARY KEY, "owner_id" INTEGER, "content" BYTEA NOT NULL, "size" BIGINT NOT NULL, "share" DOUBLE PRECISION NOT NULL, FOREIGN KEY ("owner_id") REFERENCES "user" ("id"));
CREATE UNIQUE INDEX "user_username" ON "user" ("username");
CREATE INDEX "membership_user_id" ON "membership" ("user_id");
