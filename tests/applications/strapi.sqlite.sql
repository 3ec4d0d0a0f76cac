-- Strapi (Knex): every time is a number of milliseconds in a datetime, JSON and long texts are TEXT, relations are tables of their own.
CREATE TABLE `knex_migrations` (`id` integer not null primary key autoincrement, `name` varchar(255), `batch` integer, `migration_time` datetime);
CREATE TABLE `strapi_migrations` (`id` integer not null primary key autoincrement, `name` varchar(255) null, `time` datetime null);
CREATE TABLE `admin_users` (`id` integer not null primary key autoincrement, `firstname` varchar(255) null, `email` varchar(255) null, `is_active` boolean null, `created_at` datetime null);
CREATE TABLE `articles` (`id` integer not null primary key autoincrement, `document_id` varchar(255) null, `title` varchar(255) null, `body` text null, `blocks` json null, `price` float null, `sku` bigint null, `day` date null, `at_time` time null, `published_at` datetime null, `created_by_id` integer null, `locale` varchar(255) null, constraint `articles_created_by_id_fk` foreign key(`created_by_id`) references `admin_users`(`id`) on delete SET NULL);
CREATE TABLE `categories` (`id` integer not null primary key autoincrement, `name` varchar(255) null);
CREATE TABLE `articles_categories_lnk` (`id` integer not null primary key autoincrement, `article_id` integer null, `category_id` integer null, `article_ord` float null, constraint `articles_categories_lnk_fk` foreign key(`article_id`) references `articles`(`id`) on delete CASCADE, constraint `articles_categories_lnk_ifk` foreign key(`category_id`) references `categories`(`id`) on delete CASCADE);
CREATE INDEX `articles_created_by_id_fk` on `articles` (`created_by_id`);
CREATE INDEX `articles_categories_lnk_fk` on `articles_categories_lnk` (`article_id`);
CREATE UNIQUE INDEX `articles_categories_lnk_uq` on `articles_categories_lnk` (`article_id`, `category_id`);
INSERT INTO knex_migrations VALUES (1, 'init.js', 1, 1700000000000);
INSERT INTO strapi_migrations VALUES (1, '5.0.0', 1700000000000);
INSERT INTO admin_users VALUES (1, 'Ada', 'ada@example.org', 1, 1701013012345), (2, NULL, '', 0, NULL);
INSERT INTO articles VALUES
  (1, 'z7v8', 'Ünïcode', '# a' || char(10) || 'b', '[{"type":"paragraph","children":[{"text":"é"}]}]', 9.99, 9007199254740993, '2024-02-29', '12:34:56.789', 1701013012345, 1, 'de'),
  (3, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO categories VALUES (1, 'x'), (2, 'y');
INSERT INTO articles_categories_lnk VALUES (1, 1, 1, 1), (2, 1, 2, 2), (5, 3, 1, 1.5);
