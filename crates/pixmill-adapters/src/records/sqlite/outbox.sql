-- Events on their way to webhooks.

ALTER TABLE requests ADD COLUMN webhook TEXT;  -- its own, where it has one

-- How the request stood in the write that completed it.
ALTER TABLE events ADD COLUMN completed_images INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN failed_images INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN cancelled_images INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN bytes_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN bytes_after INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;  -- in vain
ALTER TABLE events ADD COLUMN due INTEGER;     -- empty once there is nothing more to do; while leased, the lease's end
ALTER TABLE events ADD COLUMN lease INTEGER;   -- the token of whoever leased it last

CREATE INDEX events_due ON events (due) WHERE due IS NOT NULL;

CREATE TABLE deliveries (
  id TEXT PRIMARY KEY,                 -- UUIDv7
  event TEXT NOT NULL,
  request INTEGER NOT NULL,            -- requests.num
  url TEXT NOT NULL,
  at INTEGER NOT NULL,
  status INTEGER,                      -- of the answer, or
  answer TEXT,                         -- its beginning
  code TEXT,                           -- why there was none
  message TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX deliveries_request ON deliveries (request, id);
CREATE INDEX deliveries_at ON deliveries (at);
