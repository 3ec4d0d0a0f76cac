-- Tables of MariaDB with all that is its own, and rows; each statement ends with its line.
CREATE TABLE customer (
 id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
 email varchar(120) NOT NULL, name varchar(50) CHARACTER SET latin1 DEFAULT 'nobody',
 kind enum('a','b c','it''s','back\\slash') NOT NULL DEFAULT 'a', flags set('x','y'),
 active tinyint(1) NOT NULL DEFAULT 1, level tinyint(1), small tinyint unsigned, med mediumint unsigned, big bigint unsigned,
 bits bit(12), one bit(1), born date, woke time(3), lasted time, made datetime(6) DEFAULT current_timestamp(6), stamp timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
 y year, price decimal(65,30), total decimal(10,2) DEFAULT 0.00, f float, d double, doc json, note text, raw varbinary(20), fixed binary(16), u uuid, ip inet6, place point,
 twice decimal(12,2) GENERATED ALWAYS AS (total * 2) STORED, upp varchar(120) GENERATED ALWAYS AS (upper(email)) VIRTUAL,
 UNIQUE KEY uq_email (email), KEY ix_name (name, born DESC), KEY part (note(10)), FULLTEXT KEY ft (note), CONSTRAINT positive CHECK (total >= 0)
) ENGINE=InnoDB AUTO_INCREMENT=500 COMMENT='who buys';
CREATE TABLE `order` (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, customer_id int unsigned NOT NULL, parent bigint, `te"xt %s :y` varchar(9), CONSTRAINT fk_c FOREIGN KEY (customer_id) REFERENCES customer(id) ON DELETE CASCADE, CONSTRAINT fk_p FOREIGN KEY (parent) REFERENCES `order`(id));
CREATE TABLE pair (a varchar(20) NOT NULL, b int NOT NULL, v text, PRIMARY KEY (a,b));
CREATE TABLE loose (v int, w text);
CREATE VIEW v AS SELECT 1 AS x;
INSERT INTO customer (email,name,kind,flags,active,level,small,med,big,bits,one,born,woke,lasted,made,stamp,y,price,total,f,d,doc,note,raw,fixed,u,ip,place) VALUES
 ('a@x','é€','b c','x,y',1,7,255,16777215,18446744073709551615,b'101010101010',b'1','2000-02-29','23:59:59.999','100:00:00','2024-01-01 00:00:00.000001','2024-01-01 00:00:00',2155,99999999999999999999999999999999999.111111111111111111111111111111,12.34,0.1,5e-324,'{"a": [1.50, "é🎉"]}','🎉 text',x'00ff','0123456789abcdef','00112233-4455-6677-8899-aabbccddeeff','::1',ST_GeomFromText('POINT(1 2)',4326)),
 ('b@x',NULL,'it''s',NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'2024-01-01 00:00:01',NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO `order` VALUES (1,500,NULL,'x'),(2,500,1,NULL);
INSERT INTO pair VALUES ('a ',1,'x'),('b',2,NULL);
INSERT INTO loose VALUES (1,'a'),(1,'a'),(NULL,NULL);
