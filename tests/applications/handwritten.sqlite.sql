-- By hand: columns without a type, WITHOUT ROWID, NOCASE, spaces in names, generated columns, a partial key, defaults in double quotes, no key.
CREATE TABLE SchemaVersion (version);
CREATE TABLE Person (Id INTEGER PRIMARY KEY, [Full Name] TEXT COLLATE NOCASE UNIQUE, born DATE, flags, nick TEXT DEFAULT "none", upper_name TEXT AS (upper("Full Name")) STORED);
CREATE TABLE "Account Book" ("year" INT NOT NULL, "no" INT NOT NULL, "amount €" NUMERIC(9,2) CHECK ("amount €" <> 0), person INTEGER REFERENCES person(id) ON DELETE CASCADE, closed, PRIMARY KEY ("year" DESC, "no")) WITHOUT ROWID;
CREATE UNIQUE INDEX only_one_open ON "Account Book" (person) WHERE closed IS NULL;
CREATE TABLE config (key TEXT PRIMARY KEY, value ANY);
CREATE TABLE log (at DATETIME DEFAULT CURRENT_TIMESTAMP, line TEXT);
CREATE VIEW latest AS SELECT * FROM log ORDER BY at DESC LIMIT 1;
INSERT INTO SchemaVersion VALUES (3);
INSERT INTO Person (Id, "Full Name", born, flags) VALUES (1, 'Jörg O''Neil', '1970-01-01', 1), (2, NULL, NULL, 2), (7, '', '2000-02-29', NULL);
INSERT INTO "Account Book" VALUES (2024, 1, 10.5, 1, NULL), (2024, 2, -0.01, 1, '2024-01-01'), (2023, 1, 99.99, NULL, NULL);
INSERT INTO config VALUES ('a', 'text'), ('b', '5'), ('c', NULL);
INSERT INTO log VALUES ('2024-01-02 03:04:05', 'x'), ('2024-01-02 03:04:05', 'x'), (NULL, 'tab' || char(9));
