-- Schema 3. One narrow index in the place of three wide ones; what it takes from an event is kept beside the event.

DROP TABLE results_by_key;

DROP TABLE results_by_step;

DROP TABLE artifacts;

-- Results by place: a number that stands for a cache key, for a step of a pipeline, or for the digest of an artifact.
-- Two of these may share a place: who finds an event here reads it before it is believed.
CREATE TABLE results (
    place BIGINT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    event BIGINT NOT NULL,
    PRIMARY KEY (place, at, event)
) WITHOUT ROWID;

-- The places of a result, 16 hex digits each; NULL: none, or written by an older version, so they are read in data.
ALTER TABLE events ADD COLUMN places TEXT;

UPDATE indexed SET upto = 0;
