INSERT INTO "Parent Table" ("100%", tags, amount, body, place, places, during, odd, small_odd, feelings, years, of_odd,
                            clock, key, zoned, lasts, ip, spot, letter)
VALUES ('%:x', ARRAY['a', NULL, '"q"'], 1, 'words: 100%', ROW(1, 1.5, 'l', 'back\slash'), ARRAY[ROW(1, 2, 'x', '')::point3],
        '[1,2)', 12300, 0.0012, ARRAY['', 'sad']::mood[], '{1999}', 'b', '12:00', gen_random_uuid(), '12:00+05:30',
        '1 mon -2 days', '10.0.0.1', '(1,2)', 'x');
INSERT INTO "Parent Table" ("100%", tags, born, day, period) VALUES ('x%:x', '{}', 1999, '2020-01-02', '[2020-01-01,2020-02-01)');
INSERT INTO "Odd ""schema"""."Child" (other, parent) VALUES (1, 45), (1, NULL);
INSERT INTO a VALUES (1, NULL, 1, 2), (2, NULL, 3, 4);
INSERT INTO b VALUES (1, 1, 1, 2), (2, 2, NULL, NULL);
UPDATE a SET b = 3 - id;
INSERT INTO counted DEFAULT VALUES;
INSERT INTO counted (whole) SELECT p FROM "Parent Table" AS p LIMIT 1;
INSERT INTO payment (at, amount, kind, b)
VALUES ('2006-02-14', 1, 'a', 1), ('2006-03-01', 2, 'zz', NULL), ('2020-01-01', 3, 'a', 2);
INSERT INTO of_payment (id, at, kind) SELECT id, at, kind FROM payment;
