-- What finding work, upkeep and metrics ask for costs the same however many requests have ended, or are open.

-- The order in which requests were opened, or opened again; empty while a request is being taken in.
ALTER TABLE requests ADD COLUMN opened INTEGER;
UPDATE requests SET opened = num WHERE status <> 'receiving';

CREATE INDEX requests_opened ON requests (opened) WHERE opened IS NOT NULL;
CREATE INDEX requests_open ON requests (tenant, opened) WHERE status IN ('pending', 'processing');
CREATE INDEX requests_receiving ON requests (touched) WHERE status = 'receiving';
CREATE INDEX requests_dropped ON requests (num) WHERE status = 'dropped';
CREATE INDEX requests_half_cancelled ON requests (num)
  WHERE status = 'cancelled' AND pending_images + processing_images > 0;
CREATE INDEX requests_over ON requests (num)
  WHERE status IN ('pending', 'processing') AND pending_images = 0 AND processing_images = 0;

-- Rights that one process has at a time: whose each is, and until when.
DROP TABLE feeder;
CREATE TABLE rights (
  name TEXT PRIMARY KEY,
  token INTEGER NOT NULL,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- All requests by status, and their images: changed with each of them, in its transaction.
CREATE TABLE census (
  status TEXT PRIMARY KEY,
  requests INTEGER NOT NULL DEFAULT 0,
  pending_images INTEGER NOT NULL DEFAULT 0,
  processing_images INTEGER NOT NULL DEFAULT 0,
  completed_images INTEGER NOT NULL DEFAULT 0,
  failed_images INTEGER NOT NULL DEFAULT 0,
  cancelled_images INTEGER NOT NULL DEFAULT 0,
  bytes_before INTEGER NOT NULL DEFAULT 0,
  bytes_after INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

INSERT INTO census (status) VALUES
  ('receiving'), ('pending'), ('processing'), ('completed'), ('cancelled'), ('dropped');
UPDATE census SET (requests, pending_images, processing_images, completed_images, failed_images, cancelled_images,
    bytes_before, bytes_after) =
  (SELECT count(*), coalesce(sum(pending_images), 0), coalesce(sum(processing_images), 0),
     coalesce(sum(completed_images), 0), coalesce(sum(failed_images), 0), coalesce(sum(cancelled_images), 0),
     coalesce(sum(bytes_before), 0), coalesce(sum(bytes_after), 0)
   FROM requests WHERE requests.status = census.status);

CREATE TRIGGER census_grows AFTER INSERT ON requests BEGIN
  UPDATE census SET requests = requests + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER census_shrinks AFTER DELETE ON requests BEGIN
  UPDATE census SET requests = requests - 1,
    pending_images = pending_images - OLD.pending_images,
    processing_images = processing_images - OLD.processing_images,
    completed_images = completed_images - OLD.completed_images,
    failed_images = failed_images - OLD.failed_images,
    cancelled_images = cancelled_images - OLD.cancelled_images,
    bytes_before = bytes_before - OLD.bytes_before,
    bytes_after = bytes_after - OLD.bytes_after
  WHERE status = OLD.status;
END;

CREATE TRIGGER census_counts AFTER UPDATE OF pending_images, processing_images, completed_images, failed_images,
  cancelled_images, bytes_before, bytes_after ON requests WHEN OLD.status = NEW.status BEGIN
  UPDATE census SET
    pending_images = pending_images + NEW.pending_images - OLD.pending_images,
    processing_images = processing_images + NEW.processing_images - OLD.processing_images,
    completed_images = completed_images + NEW.completed_images - OLD.completed_images,
    failed_images = failed_images + NEW.failed_images - OLD.failed_images,
    cancelled_images = cancelled_images + NEW.cancelled_images - OLD.cancelled_images,
    bytes_before = bytes_before + NEW.bytes_before - OLD.bytes_before,
    bytes_after = bytes_after + NEW.bytes_after - OLD.bytes_after
  WHERE status = NEW.status;
END;

CREATE TRIGGER census_moves AFTER UPDATE OF status ON requests WHEN OLD.status <> NEW.status BEGIN
  UPDATE census SET requests = requests - 1,
    pending_images = pending_images - OLD.pending_images,
    processing_images = processing_images - OLD.processing_images,
    completed_images = completed_images - OLD.completed_images,
    failed_images = failed_images - OLD.failed_images,
    cancelled_images = cancelled_images - OLD.cancelled_images,
    bytes_before = bytes_before - OLD.bytes_before,
    bytes_after = bytes_after - OLD.bytes_after
  WHERE status = OLD.status;
  UPDATE census SET requests = requests + 1,
    pending_images = pending_images + NEW.pending_images,
    processing_images = processing_images + NEW.processing_images,
    completed_images = completed_images + NEW.completed_images,
    failed_images = failed_images + NEW.failed_images,
    cancelled_images = cancelled_images + NEW.cancelled_images,
    bytes_before = bytes_before + NEW.bytes_before,
    bytes_after = bytes_after + NEW.bytes_after
  WHERE status = NEW.status;
END;
