CREATE TABLE "schema_migrations" ("version" bigint,"dirty" boolean);
CREATE TABLE "users" ("id" bigserial,"created_at" timestamptz,"updated_at" timestamptz,"deleted_at" timestamptz,"name" text NOT NULL,"admin" boolean DEFAULT false,"manager_id" bigint,"rate" numeric,"score" decimal(10,3),"meta" text,PRIMARY KEY ("id"),CONSTRAINT "fk_users_manager" FOREIGN KEY ("manager_id") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE);
CREATE INDEX "idx_users_deleted_at" ON "users" ("deleted_at");
CREATE UNIQUE INDEX "idx_users_name" ON "users" ("name");
CREATE TABLE "languages" ("code" text,"name" text,"rtl" boolean NOT NULL DEFAULT false,PRIMARY KEY ("code"));
CREATE TABLE "user_languages" ("user_id" bigint,"language_code" text,PRIMARY KEY ("user_id","language_code"),CONSTRAINT "fk_user_languages_user" FOREIGN KEY ("user_id") REFERENCES "users"("id"),CONSTRAINT "fk_user_languages_language" FOREIGN KEY ("language_code") REFERENCES "languages"("code"));
CREATE TABLE "sessions" ("id" text,"user_id" bigint,"timeout" bigint,"data" bytea,PRIMARY KEY ("id"),CONSTRAINT "fk_users_sessions" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE);
