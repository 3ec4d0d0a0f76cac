-- EF Core (.NET): Guid, decimal, DateTime and TimeSpan are TEXT, bool is INTEGER; Guids in capital letters, times with seven digits.
CREATE TABLE "__EFMigrationsHistory" ("MigrationId" TEXT NOT NULL CONSTRAINT "PK___EFMigrationsHistory" PRIMARY KEY, "ProductVersion" TEXT NOT NULL);
CREATE TABLE "Customers" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_Customers" PRIMARY KEY,
    "Name" TEXT NOT NULL,
    "IsActive" INTEGER NOT NULL DEFAULT 1,
    "RowVersion" BLOB NULL
);
CREATE TABLE "Orders" (
    "OrderId" INTEGER NOT NULL CONSTRAINT "PK_Orders" PRIMARY KEY AUTOINCREMENT,
    "CustomerId" TEXT NOT NULL,
    "Total" TEXT NOT NULL DEFAULT '0.0',
    "PlacedAt" TEXT NOT NULL,
    "ShippedAt" TEXT NULL,
    "Duration" TEXT NULL,
    "Weight" REAL NULL,
    "Status" INTEGER NOT NULL,
    CONSTRAINT "FK_Orders_Customers_CustomerId" FOREIGN KEY ("CustomerId") REFERENCES "Customers" ("Id") ON DELETE CASCADE
);
CREATE TABLE "Tags" ("Id" INTEGER NOT NULL CONSTRAINT "PK_Tags" PRIMARY KEY AUTOINCREMENT, "Label" TEXT COLLATE NOCASE NOT NULL);
CREATE TABLE "OrderTag" (
    "OrdersOrderId" INTEGER NOT NULL,
    "TagsId" INTEGER NOT NULL,
    CONSTRAINT "PK_OrderTag" PRIMARY KEY ("OrdersOrderId", "TagsId"),
    CONSTRAINT "FK_OrderTag_Orders_OrdersOrderId" FOREIGN KEY ("OrdersOrderId") REFERENCES "Orders" ("OrderId") ON DELETE CASCADE,
    CONSTRAINT "FK_OrderTag_Tags_TagsId" FOREIGN KEY ("TagsId") REFERENCES "Tags" ("Id") ON DELETE CASCADE
);
CREATE INDEX "IX_Orders_CustomerId" ON "Orders" ("CustomerId");
CREATE INDEX "IX_OrderTag_TagsId" ON "OrderTag" ("TagsId");
CREATE UNIQUE INDEX "IX_Tags_Label" ON "Tags" ("Label");
INSERT INTO "__EFMigrationsHistory" VALUES ('20240101120000_Initial', '8.0.4');
INSERT INTO "Customers" VALUES
  ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'Zoë', 1, x'0000000000000007'),
  ('B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12', '', 0, NULL);
INSERT INTO "Orders" VALUES
  (1, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '12.50', '2024-01-02 03:04:05.123', NULL, '01:02:03', 0.1, 2),
  (5, 'B0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12', '1234567890123456.78', '2024-02-29 00:00:00', '2024-03-01 12:00:00+02:00', '10:00:00.5', NULL, 0);
INSERT INTO "Tags" VALUES (1, 'Eilig'), (2, 'zerbrechlich');
INSERT INTO "OrderTag" VALUES (1, 1), (1, 2), (5, 2);
