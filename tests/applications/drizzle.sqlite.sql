-- Drizzle: backticks; mode timestamp is seconds and timestamp_ms milliseconds in integer, mode boolean 0 and 1 in integer, mode json text.
CREATE TABLE `__drizzle_migrations` (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric);
CREATE TABLE `users` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`full_name` text(256) NOT NULL,
	`is_admin` integer DEFAULT false NOT NULL,
	`created_at` integer DEFAULT (unixepoch()) NOT NULL,
	`seen_at` text DEFAULT (CURRENT_TIMESTAMP) NOT NULL,
	`prefs` text DEFAULT '{}',
	`balance` numeric,
	`big` blob
);
CREATE TABLE `posts` (
	`id` text PRIMARY KEY NOT NULL,
	`author_id` integer,
	`published_ms` integer,
	`rating` real,
	`reply_to` text,
	FOREIGN KEY (`author_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE set null,
	FOREIGN KEY (`reply_to`) REFERENCES `posts`(`id`) ON UPDATE no action ON DELETE no action
);
CREATE TABLE `users_to_groups` (
	`user_id` integer NOT NULL,
	`group` text NOT NULL,
	PRIMARY KEY(`user_id`, `group`),
	FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE cascade
);
CREATE UNIQUE INDEX `users_full_name_unique` ON `users` (`full_name`);
INSERT INTO `__drizzle_migrations` VALUES (NULL, 'abc', 1700000000000);
INSERT INTO `users` VALUES
  (1, 'Jo', 1, 1704164645, '2024-01-02 03:04:05', '{"a":[1,"ü"]}', 12.345, x'313233'),
  (2, '李', 0, 0, '1970-01-01 00:00:00', NULL, NULL, NULL);
INSERT INTO `posts` VALUES ('p1', 1, 1704164645678, 4.5, 'p2'), ('p2', NULL, NULL, NULL, NULL);
INSERT INTO `users_to_groups` VALUES (1, ''), (1, 'x'), (2, 'x');
