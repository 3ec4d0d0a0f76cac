CREATE SCHEMA "Odd ""schema""";
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', '100% :happy', '', ', ');
COMMENT ON TYPE mood IS 'how one "feels": it''s a type';
CREATE TYPE "Odd ""schema"""."Mixed Type" AS STRUCT(a INTEGER, "b c" mood);
CREATE TYPE price AS DECIMAL(10, 2);
CREATE TYPE either AS UNION(num INTEGER, str VARCHAR);
CREATE SEQUENCE numbers START 5 INCREMENT 2 MINVALUE 1 MAXVALUE 100 CYCLE;
COMMENT ON SEQUENCE numbers IS 'of the "parents"';
CREATE SEQUENCE "Odd ""schema"""."it's 2" START -1 INCREMENT -1;
CREATE SEQUENCE unused;
CREATE TABLE "Parent Table" (
    id INTEGER PRIMARY KEY DEFAULT nextval('numbers'),
    "Mixed Name" VARCHAR DEFAULT 'a:b %s ''q'' "d"' NOT NULL CHECK ("Mixed Name" <> ':x%'),
    "select" VARCHAR COLLATE NOCASE, "a.b" INTEGER, "100%" TEXT, "quo""te" DATE DEFAULT current_date,
    feeling mood DEFAULT 'sad', feelings mood[], other mood DEFAULT CAST('it''s ok' AS mood),
    mixed "Odd ""schema"""."Mixed Type", amount price DEFAULT 1.5, one either, doubled INTEGER GENERATED ALWAYS AS (id * 2),
    three INTEGER[3], pairs MAP(VARCHAR, INTEGER), "at" TIMESTAMPTZ DEFAULT now(), lists INTEGER[][], big HUGEINT,
    number INTEGER DEFAULT (nextval('"Odd ""schema"""."it''s 2"') + 1), doc JSON DEFAULT '{"a": ":x"}', bits BIT,
    raw BLOB DEFAULT '\x00'::BLOB, zoned TIMETZ, lasts INTERVAL DEFAULT INTERVAL 1 DAY, key UUID, exact TIMESTAMP_NS,
    UNIQUE (feeling, amount), CHECK (amount > 0 AND "100%" NOT LIKE '%:x')
);
COMMENT ON TABLE "Parent Table" IS 'it''s "the" parent: 100%';
COMMENT ON COLUMN "Parent Table"."quo""te" IS 'a ''quoted'' "name" :x';
CREATE INDEX "Index %" ON "Parent Table" (lower("Mixed Name"), amount DESC);
CREATE UNIQUE INDEX unique_one ON "Parent Table" ("a.b");
COMMENT ON INDEX unique_one IS 'it''s "unique"';
CREATE TABLE "Odd ""schema""".child (id BIGINT PRIMARY KEY, label VARCHAR UNIQUE);
CREATE INDEX of_child ON "Odd ""schema""".child (label, id);
CREATE TABLE a_child (id BIGINT PRIMARY KEY, parent INTEGER REFERENCES "Parent Table" (id));
CREATE VIEW seen AS SELECT id FROM "Parent Table";
CREATE MACRO plus_one(a) AS a + 1;
CREATE TEMP TABLE temporary_one (a INTEGER);
INSERT INTO "Parent Table" ("100%", "a.b", feelings, mixed, one, three, pairs, lists, big, bits, zoned, exact)
VALUES ('x', 1, ['sad', ''], {'a': 1, 'b c': 'sad'}, 5, [1, 2, 3], MAP {'k': 1}, [[1], []], 170141183460469231731687303715884105727,
        '101', '12:00:00+05:30', '2020-01-01 00:00:00.123456789');
INSERT INTO "Parent Table" ("100%", "select", feeling) VALUES ('y', 'Z', 'it''s ok');
INSERT INTO "Odd ""schema""".child VALUES (1, 'a'), (2, NULL);
INSERT INTO a_child VALUES (1, 5), (2, 7);
