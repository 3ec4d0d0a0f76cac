-- TypeORM: datetime('now') as a default, UUIDs in varchar, simple-array and simple-json as text, an enum as a CHECK, names made of hashes.
CREATE TABLE "migrations" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "timestamp" bigint NOT NULL, "name" varchar NOT NULL);
CREATE TABLE "user_entity" ("id" varchar PRIMARY KEY NOT NULL, "firstName" varchar(80) NOT NULL, "isActive" boolean NOT NULL DEFAULT (1), "roles" text, "profile" text, "createdAt" datetime NOT NULL DEFAULT (datetime('now')), "updatedAt" datetime(6) NOT NULL DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')), CONSTRAINT "UQ_65a0b8f1a9c1f1c1d7a0d1a5b7a" UNIQUE ("firstName"));
CREATE TABLE "category" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "name" varchar NOT NULL DEFAULT (''), "parentId" integer, CONSTRAINT "FK_d5456fd7e4c4866fec8ada1fa10" FOREIGN KEY ("parentId") REFERENCES "category" ("id") ON DELETE NO ACTION ON UPDATE NO ACTION);
CREATE TABLE "post" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "title" varchar NOT NULL, "status" varchar CHECK( "status" IN ('draft','live') ) NOT NULL DEFAULT ('draft'), "price" decimal(10,2) NOT NULL DEFAULT (0), "content" blob, "authorId" varchar, CONSTRAINT "FK_c6fb082a3114f35d0cc27c518e0" FOREIGN KEY ("authorId") REFERENCES "user_entity" ("id") ON DELETE CASCADE ON UPDATE NO ACTION);
CREATE TABLE "post_categories_category" ("postId" integer NOT NULL, "categoryId" integer NOT NULL, CONSTRAINT "FK_93b566d522b73cb8bc46f7405bd" FOREIGN KEY ("postId") REFERENCES "post" ("id") ON DELETE CASCADE ON UPDATE CASCADE, CONSTRAINT "FK_a5e63f80ca58e7296d5864bd2d3" FOREIGN KEY ("categoryId") REFERENCES "category" ("id") ON DELETE CASCADE ON UPDATE CASCADE, PRIMARY KEY ("postId", "categoryId"));
CREATE INDEX "IDX_93b566d522b73cb8bc46f7405b" ON "post_categories_category" ("postId");
CREATE INDEX "IDX_a5e63f80ca58e7296d5864bd2d" ON "post_categories_category" ("categoryId");
INSERT INTO "migrations" VALUES (1, 1700000000000, 'Init1700000000000');
INSERT INTO "user_entity" VALUES
  ('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'Ann', 1, 'admin,editor', '{"a":1}', '2024-01-02 03:04:05', '2024-01-02 03:04:05.678'),
  ('6ba7b811-9dad-11d1-80b4-00c04fd430c8', 'Łukasz', 0, NULL, NULL, '2024-06-30 23:59:60', '2024-01-02 03:04:05.000');
UPDATE "user_entity" SET "createdAt" = '2024-07-01 00:00:00' WHERE "firstName" = 'Łukasz';
INSERT INTO "category" VALUES (1, 'root', NULL), (2, 'child', 1), (3, '', 2);
INSERT INTO "post" VALUES (1, 'Eins', 'live', 19.9, x'ff00', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'), (2, 'Zwei', 'draft', 0, NULL, NULL);
INSERT INTO "post_categories_category" VALUES (1, 1), (1, 3);
