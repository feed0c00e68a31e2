-- Times are milliseconds since 1970-01-01 UTC. The columns of images after `status` are empty while an image is
-- fresh, and trailing, so that a million fresh images stay small.

CREATE TABLE requests (
  num INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,             -- UUIDv7
  status TEXT NOT NULL,                -- receiving, pending, processing, completed, cancelled; dropped: being deleted
  round INTEGER NOT NULL,
  recipe TEXT NOT NULL,                -- JSON
  header TEXT NOT NULL,
  catalogue TEXT NOT NULL,
  digest TEXT NOT NULL DEFAULT '',
  rows INTEGER NOT NULL DEFAULT 0,
  row_errors INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL,
  touched INTEGER NOT NULL,            -- when its intake last moved
  completed INTEGER,
  -- Tallies: changed only in the transaction that changes the images they count.
  pending_images INTEGER NOT NULL DEFAULT 0,
  processing_images INTEGER NOT NULL DEFAULT 0,
  completed_images INTEGER NOT NULL DEFAULT 0,
  failed_images INTEGER NOT NULL DEFAULT 0,
  cancelled_images INTEGER NOT NULL DEFAULT 0,
  bytes_before INTEGER NOT NULL DEFAULT 0,
  bytes_after INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE rows (
  id INTEGER PRIMARY KEY,              -- requests.num << 32 | row
  cells TEXT NOT NULL,                 -- one CSV record without line end
  first_image INTEGER NOT NULL,        -- the number of its first image in the request
  images INTEGER NOT NULL,             -- how many it has
  name TEXT,
  error TEXT
) STRICT;

CREATE TABLE images (
  id INTEGER PRIMARY KEY,              -- requests.num << 32 | number in the request, in input order
  row INTEGER NOT NULL,
  position INTEGER NOT NULL,
  input TEXT NOT NULL,
  status INTEGER NOT NULL DEFAULT 0,   -- 0 pending, 1 processing, 2 completed, 3 failed, 4 cancelled
  attempts INTEGER NOT NULL DEFAULT 0,
  lease INTEGER,                       -- the token, while processing
  lease_until INTEGER,
  due INTEGER,                         -- not claimed before, once put back
  same_as INTEGER,                     -- images.id of an earlier equal input, with which it ends
  output TEXT,
  bytes_before INTEGER,
  bytes_after INTEGER,
  code TEXT,
  message TEXT
) STRICT;

CREATE INDEX images_due ON images (due) WHERE due IS NOT NULL;
CREATE INDEX images_lease_until ON images (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX images_same_as ON images (same_as) WHERE same_as IS NOT NULL;

-- The first image of each distinct input, found by its fingerprint.
CREATE TABLE inputs (
  request INTEGER NOT NULL,
  fingerprint INTEGER NOT NULL,
  image INTEGER NOT NULL,              -- its number in the request
  PRIMARY KEY (request, fingerprint)
) STRICT, WITHOUT ROWID;

CREATE TABLE row_errors (
  request INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  line INTEGER NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (request, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
  id TEXT PRIMARY KEY,                 -- webhook-id
  request INTEGER NOT NULL,
  round INTEGER NOT NULL,
  at INTEGER NOT NULL,
  UNIQUE (request, round)
) STRICT, WITHOUT ROWID;

-- Outputs that no image names any more, until they are removed.
CREATE TABLE stale_outputs (
  location TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
