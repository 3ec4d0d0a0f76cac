CREATE SCHEMA drizzle;
CREATE TABLE drizzle."__drizzle_migrations" (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at bigint);
CREATE TABLE "users" (
	"id" serial PRIMARY KEY NOT NULL,
	"full_name" varchar(256) NOT NULL,
	"is_admin" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"seen_at" timestamp DEFAULT now() NOT NULL,
	"prefs" jsonb DEFAULT '{}'::jsonb,
	"balance" numeric(12, 4),
	"big" bytea,
	CONSTRAINT "users_full_name_unique" UNIQUE("full_name")
);
CREATE TABLE "posts" ("id" text PRIMARY KEY NOT NULL, "author_id" integer, "published_ms" timestamp, "rating" double precision, "reply_to" text);
CREATE TABLE "users_to_groups" ("user_id" integer NOT NULL, "group" text NOT NULL, CONSTRAINT "users_to_groups_user_id_group_pk" PRIMARY KEY("user_id","group"));
ALTER TABLE "posts" ADD CONSTRAINT "posts_author_id_users_id_fk" FOREIGN KEY ("author_id") REFERENCES "public"."users"("id") ON DELETE set null ON UPDATE no action;
ALTER TABLE "posts" ADD CONSTRAINT "posts_reply_to_posts_id_fk" FOREIGN KEY ("reply_to") REFERENCES "public"."posts"("id") ON DELETE no action ON UPDATE no action;
ALTER TABLE "users_to_groups" ADD CONSTRAINT "users_to_groups_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;
