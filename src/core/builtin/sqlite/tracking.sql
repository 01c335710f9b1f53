-- name: append_event
INSERT INTO events (run, step, attempt, writer, seq, kind, at, epoch, data, project, actor, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, step, attempt, writer, seq) DO NOTHING

-- name: same_key
SELECT run, step, attempt, writer, seq, kind, at, epoch, data, project, actor, version FROM events
WHERE run = ? AND step = ? AND attempt = ? AND writer = ? AND seq = ?

-- name: append_document
INSERT INTO documents (digest, content) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING

-- name: events_of_run
SELECT run, step, attempt, writer, seq, kind, at, epoch, data, project, actor, version FROM events
WHERE run = ?

-- name: events_of_step
SELECT run, step, attempt, writer, seq, kind, at, epoch, data, project, actor, version FROM events
WHERE run = ? AND step = ?

-- name: events_of_the_run_itself
SELECT run, step, attempt, writer, seq, kind, at, epoch, data, project, actor, version FROM events
WHERE run = ? AND step = '' AND attempt = 0 AND kind IN ({of_run})

-- name: put_run
INSERT INTO runs (id, pipeline, state, started_at, ended_at, stack, project, actor) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET pipeline = excluded.pipeline, state = excluded.state, started_at = excluded.started_at,
    ended_at = excluded.ended_at, stack = excluded.stack, project = excluded.project, actor = excluded.actor

-- name: list_runs
-- A run that has not ended is lost unless its lease is alive. {where} is made of the conditions in tracking.py.
SELECT runs.id, runs.pipeline,
    CASE WHEN runs.state = 'running' AND leases.name IS NULL THEN 'lost' ELSE runs.state END,
    runs.started_at, runs.ended_at, runs.stack, runs.project, runs.actor
FROM runs LEFT JOIN leases ON runs.state = 'running' AND leases.name = runs.id AND leases.expires_at > ?
    AND alive(leases.name, leases.epoch, leases.backing)
WHERE {where} ORDER BY runs.id DESC LIMIT ?

-- name: find_run
SELECT id FROM runs
WHERE (substr(id, 1, length(?)) = ? OR substr(id, length(id) - length(?) + 1) = ?) AND (? IS NULL OR project = ?)
ORDER BY id DESC LIMIT 10

-- name: document
SELECT content FROM documents WHERE digest = ?

-- name: unindexed
-- How far the indexes reach, and how far they should.
SELECT upto, (SELECT max(number) FROM events) FROM indexed

-- name: results_since
SELECT number, run, step, attempt, project, at, kind, data FROM events
WHERE number > ? AND kind IN ({results}) ORDER BY number LIMIT 10000

-- name: last_number
-- Elsewhere: what the INSERT returns.
SELECT last_insert_rowid()

-- name: tail
SELECT number, run, step, attempt, writer, seq, kind, at, epoch, data, project, actor, version FROM events
WHERE number > ? AND kind IN ({results}) ORDER BY number

-- name: results_of_run
SELECT number, run, step, attempt, project, at, kind, data FROM events
WHERE run = ? AND kind IN ({results})

-- name: indexed
UPDATE indexed SET upto = ?

-- name: add_key
INSERT INTO results_by_key (project, cache_key, at, run, step, attempt, event) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: add_step
INSERT INTO results_by_step (project, pipeline, step, at, run, attempt, event) VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: add_artifact
INSERT INTO artifacts (digest, run) VALUES (?, ?) ON CONFLICT (digest, run) DO NOTHING

-- name: drop_key
DELETE FROM results_by_key WHERE project = ? AND cache_key = ? AND at = ? AND run = ? AND step = ? AND attempt = ? AND event = ?

-- name: drop_step
DELETE FROM results_by_step WHERE project = ? AND pipeline = ? AND step = ? AND at = ? AND run = ? AND attempt = ? AND event = ?

-- name: drop_artifact
DELETE FROM artifacts WHERE digest = ? AND run = ?

-- name: cached
-- The newest completed attempt with the key, unless another terminal event of that attempt outranks it.
SELECT done.run, done.step, done.attempt, done.at, done.data
FROM results_by_key AS result JOIN events AS done ON done.number = result.event
WHERE result.project = ? AND result.cache_key = ? AND NOT EXISTS (
    SELECT 1 FROM events AS other
    WHERE other.run = done.run AND other.step = done.step AND other.attempt = done.attempt
        AND other.kind IN ({terminal})
        AND (other.epoch > done.epoch OR other.epoch = done.epoch
            AND (other.seq < done.seq OR other.seq = done.seq AND other.writer < done.writer))
)
ORDER BY result.at DESC, result.run DESC, result.step DESC, result.attempt DESC LIMIT 1

-- name: completed
-- One completed attempt by the number of its event, unless another terminal event of that attempt outranks it.
SELECT done.run, done.step, done.attempt, done.at, done.data
FROM events AS done
WHERE done.number = ? AND done.run = ? AND done.step = ? AND done.attempt = ? AND NOT EXISTS (
    SELECT 1 FROM events AS other
    WHERE other.run = done.run AND other.step = done.step AND other.attempt = done.attempt
        AND other.kind IN ({terminal})
        AND (other.epoch > done.epoch OR other.epoch = done.epoch
            AND (other.seq < done.seq OR other.seq = done.seq AND other.writer < done.writer))
)

-- name: latest
SELECT done.run, done.step, done.attempt, done.at, done.data
FROM results_by_step AS result JOIN events AS done ON done.number = result.event
WHERE result.project = ? AND result.pipeline = ? AND result.step = ? AND NOT EXISTS (
    SELECT 1 FROM events AS other
    WHERE other.run = done.run AND other.step = done.step AND other.attempt = done.attempt
        AND other.kind IN ({terminal})
        AND (other.epoch > done.epoch OR other.epoch = done.epoch
            AND (other.seq < done.seq OR other.seq = done.seq AND other.writer < done.writer))
)
ORDER BY result.at DESC, result.run DESC, result.attempt DESC LIMIT 1

-- name: recorded
SELECT 1 FROM artifacts WHERE digest = ? LIMIT 1

-- name: delete_run
DELETE FROM runs WHERE id = ?

-- name: delete_events
DELETE FROM events WHERE run = ?

-- name: lease
-- One whose owner's process is dead reads as run out. alive() is core's, see leases.py.
SELECT name, owner, epoch, CASE WHEN alive(name, epoch, backing) THEN expires_at ELSE 0.0 END FROM leases WHERE name = ?

-- name: lease_by_time
SELECT name, owner, epoch, expires_at FROM leases WHERE name = ?

-- name: put_lease
INSERT INTO leases (name, owner, epoch, expires_at, backing) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, epoch = excluded.epoch, expires_at = excluded.expires_at,
    backing = excluded.backing

-- name: latest_lease
SELECT max(expires_at) FROM leases

-- name: anchor
SELECT anchor FROM clocks WHERE boot = ?

-- name: put_anchor
INSERT INTO clocks (boot, anchor) VALUES (?, ?) ON CONFLICT (boot) DO NOTHING
