-- Hibernate: times are milliseconds in a timestamp (as the JDBC driver writes them), UUIDs 16 bytes, enums tinyint or varchar with a check.
create table flyway_schema_history (installed_rank INT NOT NULL PRIMARY KEY, version VARCHAR(50), description VARCHAR(200) NOT NULL, success BOOLEAN NOT NULL);
create table author (id blob not null, name varchar(255), born date, version integer not null, primary key (id));
create table book (id integer, author_id blob, active boolean not null, created_at timestamp, status tinyint check (status between 0 and 2), genre varchar(255) check (genre in ('NOVEL','POEM')), price numeric(38,2), isbn varchar(13) unique, summary clob, parent_id bigint, primary key (id), constraint FKklnrv3weler2ftkweewlky958 foreign key (author_id) references author, constraint FKparent foreign key (parent_id) references book);
create table book_tags (book_id bigint not null, tags varchar(255), constraint FKtags foreign key (book_id) references book);
create table review (book_id bigint not null, number integer not null, stars float not null, primary key (book_id, number), constraint FK70yrt09r4r54tcgkrwbeqenbs foreign key (book_id) references book);
insert into flyway_schema_history values (1, '1', 'init', 1);
insert into author values (x'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'Žižek', '1949-03-21', 0), (x'b0eebc999c0b4ef8bb6d6bb9bd380a12', NULL, NULL, 3);
insert into book values
  (1, x'a0eebc999c0b4ef8bb6d6bb9bd380a11', 1, 1704164645678, 2, 'NOVEL', 12.5, '9783161484100', 'a' || char(10) || 'b', 4),
  (4, NULL, 0, NULL, NULL, NULL, NULL, NULL, '', NULL);
insert into book_tags values (1, 'x'), (1, 'x'), (4, NULL);
insert into review values (1, 1, 4.5), (1, 2, 0.1);
