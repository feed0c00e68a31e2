-- What a server has that has been at work for years, or has much before it: so many requests of one tenant that ended, and so
-- many that are open, each with one row and one image. `{ended}`, `{open}` and `{origin}` are replaced.
-- Ids lie far apart, as real ones do: those of a request's images follow its own.
BEGIN;
INSERT INTO requests (num, id, status, round, recipe, header, catalogue, rows, created, touched, completed,
    tenant, opened)
  WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {ended})
  SELECT at, printf('0190%04x-%04x-7000-8000-00000000ffff', at >> 16, at & 65535), 'completed', 1, '{}', 'Name,Image Urls', 'shop.csv', 1,
    1700000000000 + at, 1700000000000 + at, 1700000000000 + at, 'shop', at
  FROM n WHERE {ended} > 0;
INSERT INTO rows (id, cells, first_image, images)
  SELECT num << 32, 'Cap,{origin}/' || num || '.jpg', 0, 1 FROM requests WHERE status = 'completed';
INSERT INTO images (id, row, position, input, status, attempts, output, bytes_before, bytes_after, ended)
  SELECT num << 32, 0, 0, '{origin}/' || num || '.jpg', 2, 1,
    'processed_images/' || id || '/000001-01.jpg', 1000, 300, 1700000000000 + num
  FROM requests WHERE status = 'completed';
INSERT INTO events (id, request, round, at) SELECT id, num, 1, completed FROM requests WHERE status = 'completed';
INSERT INTO requests (num, id, status, round, recipe, header, catalogue, rows, created, touched, tenant, opened)
  WITH RECURSIVE n (at) AS (SELECT {ended} + 1 UNION ALL SELECT at + 1 FROM n WHERE at < {ended} + {open})
  SELECT at, printf('0190%04x-%04x-7000-8000-00000000ffff', at >> 16, at & 65535), 'pending', 1, '{}', 'Name,Image Urls', 'shop.csv', 1,
    1700000000000 + at, 1700000000000 + at, 'shop', at
  FROM n WHERE {open} > 0;
INSERT INTO rows (id, cells, first_image, images)
  SELECT num << 32, 'Cap,{origin}/' || num || '.jpg', 0, 1 FROM requests WHERE status = 'pending';
INSERT INTO images (id, row, position, input)
  SELECT num << 32, 0, 0, '{origin}/' || num || '.jpg' FROM requests WHERE status = 'pending';
-- The census counts what changes.
UPDATE requests SET completed_images = 1, bytes_before = 1000, bytes_after = 300 WHERE status = 'completed';
UPDATE requests SET pending_images = 1 WHERE status = 'pending';
COMMIT;
