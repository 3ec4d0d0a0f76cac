-- GORM (Go): names in backticks, bool is numeric with DEFAULT false, times have a zone and nanoseconds, soft deletes by deleted_at.
CREATE TABLE `schema_migrations` (`version` uint64, `dirty` bool);
CREATE TABLE `users` (`id` integer PRIMARY KEY AUTOINCREMENT,`created_at` datetime,`updated_at` datetime,`deleted_at` datetime,`name` text NOT NULL,`admin` numeric DEFAULT false,`manager_id` integer,`rate` real,`score` decimal(10,3),`meta` text,CONSTRAINT `fk_users_manager` FOREIGN KEY (`manager_id`) REFERENCES `users`(`id`) ON DELETE SET NULL ON UPDATE CASCADE);
CREATE INDEX `idx_users_deleted_at` ON `users`(`deleted_at`);
CREATE UNIQUE INDEX `idx_users_name` ON `users`(`name`);
CREATE TABLE `languages` (`code` text,`name` text,`rtl` numeric NOT NULL DEFAULT false,PRIMARY KEY (`code`));
CREATE TABLE `user_languages` (`user_id` integer,`language_code` text,PRIMARY KEY (`user_id`,`language_code`),CONSTRAINT `fk_user_languages_user` FOREIGN KEY (`user_id`) REFERENCES `users`(`id`),CONSTRAINT `fk_user_languages_language` FOREIGN KEY (`language_code`) REFERENCES `languages`(`code`));
CREATE TABLE `sessions` (`id` text,`user_id` integer,`timeout` integer,`data` blob,PRIMARY KEY (`id`),CONSTRAINT `fk_users_sessions` FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON DELETE CASCADE);
INSERT INTO schema_migrations VALUES (20240101, false);
INSERT INTO users VALUES
  (1, '2025-07-31 10:11:12.123456+00:00', '2025-07-31 12:11:12.5+02:00', NULL, 'Ann', 1, 2, 0.1, 1.5, '{"a":[1,2]}'),
  (2, '2025-07-31 10:11:12.123456789+00:00', NULL, '0001-01-01 00:00:00+00:00', 'Bo', 0, NULL, 1712345678.123456, -12.125, 'null'),
  (9, NULL, NULL, NULL, '', NULL, 9, NULL, NULL, '');
DELETE FROM users WHERE id = 9;
INSERT INTO users (id, name, manager_id) VALUES (7, 'Čo', 7);
INSERT INTO languages VALUES ('he', 'עברית', true), ('en', NULL, false);
INSERT INTO user_languages VALUES (1, 'he'), (1, 'en');
INSERT INTO sessions VALUES ('s1', 1, 86400000000000, x'00ff'), ('s2', NULL, 0, NULL);
