-- Prisma: DateTime is written as milliseconds since 1970 (or as text by DEFAULT CURRENT_TIMESTAMP), enums are TEXT, A and B of many to many.
CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY NOT NULL, "checksum" TEXT NOT NULL, "finished_at" DATETIME, "migration_name" TEXT NOT NULL, "logs" TEXT, "rolled_back_at" DATETIME, "started_at" DATETIME NOT NULL DEFAULT current_timestamp, "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0);
CREATE TABLE "User" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "email" TEXT NOT NULL,
    "role" TEXT NOT NULL DEFAULT 'USER',
    "isActive" BOOLEAN NOT NULL DEFAULT true,
    "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE "Post" (
    "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "title" TEXT NOT NULL,
    "price" DECIMAL NOT NULL DEFAULT 0,
    "views" BIGINT NOT NULL DEFAULT 0,
    "rating" REAL,
    "raw" BLOB,
    "meta" JSONB,
    "authorId" TEXT,
    CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User" ("id") ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE TABLE "Tag" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL);
CREATE TABLE "_PostToTag" (
    "A" INTEGER NOT NULL,
    "B" INTEGER NOT NULL,
    CONSTRAINT "_PostToTag_A_fkey" FOREIGN KEY ("A") REFERENCES "Post" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "_PostToTag_B_fkey" FOREIGN KEY ("B") REFERENCES "Tag" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
CREATE UNIQUE INDEX "_PostToTag_AB_unique" ON "_PostToTag"("A", "B");
CREATE INDEX "_PostToTag_B_index" ON "_PostToTag"("B");
INSERT INTO "_prisma_migrations" VALUES ('m1', 'c', 1700000000000, '20240101000000_init', NULL, NULL, 1700000000000, 1);
INSERT INTO "User" VALUES
  ('clh1', 'a@example.org', 'ADMIN', 1, 1704164645678),
  ('clh2', 'b@example.org', 'USER', 0, -1);
INSERT INTO "Post" VALUES
  (1, 'Hallo', 12.5, 9223372036854775807, 0.1, x'00', '{"b": 1, "a": [true, null]}', 'clh1'),
  (4, '', 3, 0, NULL, NULL, NULL, NULL),
  (8, 'gone', 0, 0, NULL, NULL, NULL, NULL);
DELETE FROM "Post" WHERE id = 8;
INSERT INTO "Tag" VALUES (1, 'ä'), (2, 'b');
INSERT INTO "_PostToTag" VALUES (1, 1), (1, 2), (4, 1);
