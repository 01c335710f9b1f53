-- Schema 1. Types are those that SQLite and PostgreSQL both take for what is meant (PostgreSQL's REAL and INTEGER
-- have 4 bytes); only WITHOUT ROWID must go there. JSON is TEXT: nothing in the database looks inside.

-- The truth. number counts in order of commits (elsewhere: an identity column); the indexes below are made from it.
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    writer TEXT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    epoch BIGINT NOT NULL,
    data TEXT NOT NULL,
    project TEXT NOT NULL,
    actor TEXT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (run, step, attempt, writer, seq)
);

-- The next three are filled when somebody asks, up to the event of this number: a run that only writes pays nothing.
CREATE TABLE indexed (
    upto BIGINT NOT NULL
);

INSERT INTO indexed (upto) VALUES (0);

-- Completed attempts by cache key.
CREATE TABLE results_by_key (
    project TEXT NOT NULL,
    cache_key TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    run TEXT NOT NULL,
    step TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    event BIGINT NOT NULL,
    PRIMARY KEY (project, cache_key, at, run, step, attempt, event)
) WITHOUT ROWID;

-- Completed attempts and reuses by step of a pipeline.
CREATE TABLE results_by_step (
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    at DOUBLE PRECISION NOT NULL,
    run TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    event BIGINT NOT NULL,
    PRIMARY KEY (project, pipeline, step, at, run, attempt, event)
) WITHOUT ROWID;

-- Digests of artifacts that events of a run name as outputs or parts of outputs.
CREATE TABLE artifacts (
    digest TEXT NOT NULL,
    run TEXT NOT NULL,
    PRIMARY KEY (digest, run)
) WITHOUT ROWID;

-- Index of runs, made from each run's own events. state is without the lease's say: running or how it ended.
CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    pipeline TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at DOUBLE PRECISION NOT NULL,
    ended_at DOUBLE PRECISION,
    stack TEXT NOT NULL,
    project TEXT NOT NULL,
    actor TEXT NOT NULL
) WITHOUT ROWID;

CREATE INDEX runs_by_project ON runs (project, id);

CREATE INDEX runs_by_pipeline ON runs (pipeline, id);

CREATE INDEX runs_by_state ON runs (state, id);

CREATE TABLE documents (
    digest TEXT NOT NULL PRIMARY KEY,
    content TEXT NOT NULL
) WITHOUT ROWID;

-- Rows stay after a release (expires_at 0), so that epochs never go back.
CREATE TABLE leases (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL
) WITHOUT ROWID;

CREATE TABLE catalog (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    revision BIGINT NOT NULL,
    data TEXT NOT NULL,
    project TEXT NOT NULL,
    actor TEXT NOT NULL,
    changed_at DOUBLE PRECISION NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (project, kind, name)
) WITHOUT ROWID;
