-- name: append_event
INSERT INTO events (run, step, attempt, writer, seq, kind, at, epoch, data, project, actor, version, places)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, step, attempt, writer, seq) DO NOTHING

-- name: fold_event
INSERT INTO events (run, step, attempt, writer, seq, kind, at, epoch, data, project, actor, version, places, origin)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, step, attempt, writer, seq) DO NOTHING

-- name: folded
SELECT object FROM folded WHERE journal = ?

-- name: fold_object
INSERT INTO folded (journal, object) VALUES (?, ?) ON CONFLICT (journal, object) DO NOTHING

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
-- data only where it tells the places.
SELECT number, at, run, step, attempt, places, CASE WHEN places IS NULL THEN data END, kind, project FROM events
WHERE number > ? AND kind IN ({results}) ORDER BY number LIMIT ?

-- name: results_of_run
SELECT number, at, run, step, attempt, places, CASE WHEN places IS NULL THEN data END, kind, project FROM events
WHERE run = ? AND kind IN ({results})

-- name: last_number
-- Elsewhere: what the INSERT returns.
SELECT last_insert_rowid()

-- name: indexed
UPDATE indexed SET upto = ?

-- name: add_place
INSERT INTO results (place, at, event) VALUES (?, ?, ?) ON CONFLICT (place, at, event) DO NOTHING

-- name: drop_place
DELETE FROM results WHERE place = ? AND at = ? AND event = ?

-- name: newest
-- Results at a place, newest first, unless another terminal event of that attempt outranks them.
SELECT done.run, done.step, done.attempt, done.at, done.kind, done.project, done.data, done.origin
FROM results JOIN events AS done ON done.number = results.event
WHERE results.place = ? AND NOT EXISTS (
    SELECT 1 FROM events AS other
    WHERE other.run = done.run AND other.step = done.step AND other.attempt = done.attempt
        AND other.kind IN ({terminal})
        AND (other.epoch > done.epoch OR other.epoch = done.epoch
            AND (other.seq < done.seq OR other.seq = done.seq AND other.writer < done.writer))
)
ORDER BY results.at DESC, done.run DESC, done.step DESC, done.attempt DESC LIMIT ?

-- name: numbered
-- The same of one event: its number may be another's by now.
SELECT done.run, done.step, done.attempt, done.at, done.kind, done.project, done.data, done.origin
FROM events AS done
WHERE done.number = ? AND done.run = ? AND done.step = ? AND done.attempt = ? AND NOT EXISTS (
    SELECT 1 FROM events AS other
    WHERE other.run = done.run AND other.step = done.step AND other.attempt = done.attempt
        AND other.kind IN ({terminal})
        AND (other.epoch > done.epoch OR other.epoch = done.epoch
            AND (other.seq < done.seq OR other.seq = done.seq AND other.writer < done.writer))
)

-- name: at_place
SELECT done.data, done.origin FROM results JOIN events AS done ON done.number = results.event WHERE results.place = ? LIMIT ?

-- name: data_of
SELECT data, origin FROM events WHERE number = ?

-- name: delete_run
DELETE FROM runs WHERE id = ?

-- name: delete_events
DELETE FROM events WHERE run = ?

-- name: lease
-- One whose owner's process is dead reads as run out. alive() is core's, see leases.py.
SELECT name, owner, epoch, CASE WHEN alive(name, epoch, backing) THEN expires_at ELSE 0.0 END FROM leases WHERE name = ?

-- name: lease_by_time
SELECT name, owner, epoch, expires_at FROM leases WHERE name = ?

-- name: backing
SELECT epoch, backing FROM leases WHERE name = ?

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
