-- Django: bool, char(32) for UUIDs, decimal and datetime by declaration, durations as microseconds, deferred foreign keys, checks of JSON and sign.
CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);
CREATE TABLE "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "password" varchar(128) NOT NULL, "last_login" datetime NULL, "is_superuser" bool NOT NULL, "username" varchar(150) NOT NULL UNIQUE, "date_joined" datetime NOT NULL);
CREATE TABLE "shop_product" ("uid" char(32) NOT NULL PRIMARY KEY, "name" varchar(50) NOT NULL, "price" decimal NOT NULL, "stock" integer unsigned NOT NULL CHECK ("stock" >= 0), "weight" real NULL, "data" text NOT NULL CHECK ((JSON_VALID("data") OR "data" IS NULL)), "photo" BLOB NULL, "owner_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED, "parent_id" char(32) NULL REFERENCES "shop_product" ("uid") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "shop_rental" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "day" date NOT NULL, "opens" time NULL, "lasts" bigint NOT NULL, "address" char(39) NULL, "product_id" char(32) NOT NULL REFERENCES "shop_product" ("uid") DEFERRABLE INITIALLY DEFERRED, CONSTRAINT "one_a_day" UNIQUE ("day", "product_id"));
CREATE TABLE "shop_product_fans" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "product_id" char(32) NOT NULL REFERENCES "shop_product" ("uid") DEFERRABLE INITIALLY DEFERRED, "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX "shop_product_owner_id_1c2d3e4f" ON "shop_product" ("owner_id");
CREATE UNIQUE INDEX "shop_product_fans_product_id_user_id_5f6a7b8c_uniq" ON "shop_product_fans" ("product_id", "user_id");
INSERT INTO "django_migrations" VALUES (1, 'auth', '0001_initial', '2024-01-01 00:00:00.000001');
INSERT INTO "auth_user" VALUES
  (1, 'pbkdf2_sha256$1', NULL, 1, 'root', '2024-01-02 03:04:05.678901'),
  (2, '', '2024-02-29 23:59:59', 0, 'jürgen', '2024-01-02 03:04:05'),
  (40, '', NULL, 0, 'gone', '2024-01-02 03:04:05');
DELETE FROM "auth_user" WHERE id = 40;
INSERT INTO "shop_product" VALUES
  ('a0eebc999c0b4ef8bb6d6bb9bd380a11', 'Rad', 1234.5, 3, 12.25, '{"b": 1, "a": "\u00e9"}', x'89504e47', 1, 'b0eebc999c0b4ef8bb6d6bb9bd380a12'),
  ('b0eebc999c0b4ef8bb6d6bb9bd380a12', '', 0, 0, NULL, '[]', NULL, 2, NULL);
INSERT INTO "shop_rental" VALUES
  (1, '2024-02-29', '08:30:00', 5400000000, '192.168.0.1', 'a0eebc999c0b4ef8bb6d6bb9bd380a11'),
  (2, '2024-03-01', NULL, 1, '2001:db8::1', 'a0eebc999c0b4ef8bb6d6bb9bd380a11');
INSERT INTO "shop_product_fans" VALUES (1, 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 1), (2, 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 2);
