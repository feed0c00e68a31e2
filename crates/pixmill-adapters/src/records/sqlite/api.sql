-- What the HTTP API asks for.

ALTER TABLE requests ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';

-- When an image ended: later than whatever was written of its request before, so that whoever reads in this order
-- misses nothing.
ALTER TABLE images ADD COLUMN ended INTEGER;

CREATE INDEX requests_tenant ON requests (tenant, num);
CREATE INDEX images_ended ON images (id >> 32, ended) WHERE ended IS NOT NULL;

CREATE TABLE keys (
  id TEXT PRIMARY KEY,                 -- UUIDv7
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  hash TEXT NOT NULL UNIQUE,           -- SHA-256 of the secret
  per_minute INTEGER,
  created INTEGER NOT NULL,
  revoked INTEGER
) STRICT, WITHOUT ROWID;

-- Intakes under keys that clients chose.
CREATE TABLE idempotency (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  request TEXT NOT NULL,               -- requests.id, which may not be there yet or any more
  held_until INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_request ON idempotency (request);
CREATE INDEX idempotency_at ON idempotency (at);
