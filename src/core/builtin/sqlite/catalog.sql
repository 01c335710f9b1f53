-- name: get
SELECT kind, name, revision, data, project, actor, changed_at, version FROM catalog
WHERE project = ? AND kind = ? AND name = ?

-- name: list
SELECT kind, name, revision, data, project, actor, changed_at, version FROM catalog
WHERE project = ? AND kind = ? ORDER BY name

-- name: names
SELECT name FROM catalog WHERE project = ? AND kind = ?

-- name: sealed
SELECT 1 FROM catalog WHERE kind IN ('secret', 'service_connector') AND data LIKE '%"core1:%' LIMIT 1

-- name: put
INSERT INTO catalog (kind, name, revision, data, project, actor, changed_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (project, kind, name) DO UPDATE SET revision = excluded.revision, data = excluded.data,
    actor = excluded.actor, changed_at = excluded.changed_at, version = excluded.version

-- name: delete
DELETE FROM catalog WHERE project = ? AND kind = ? AND name = ?
