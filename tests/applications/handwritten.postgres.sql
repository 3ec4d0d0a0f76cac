CREATE TABLE schemaversion (version integer);
CREATE TABLE person (id SERIAL PRIMARY KEY, "Full Name" text UNIQUE, born date, flags smallint, nick text DEFAULT 'none', upper_name text GENERATED ALWAYS AS (upper("Full Name")) STORED);
CREATE TABLE "Account Book" (year int NOT NULL, no int NOT NULL, "amount €" numeric(9,2) CHECK ("amount €" <> 0), person int REFERENCES person(id) ON DELETE CASCADE, closed date, PRIMARY KEY (year, no));
CREATE UNIQUE INDEX only_one_open ON "Account Book" (person) WHERE closed IS NULL;
CREATE TABLE config (key text PRIMARY KEY, value text);
CREATE TABLE log (at timestamp DEFAULT CURRENT_TIMESTAMP, line text);
INSERT INTO schemaversion VALUES (5);
