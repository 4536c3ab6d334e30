-- Workflows as operators create, read and move them; see queries.sql for how a spend locks its own.

-- name: create_workflow
INSERT INTO treasury.workflows (tenant_id, id, budget_cents, budget_currency, created_by)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
RETURNING *;

-- name: lock_known_workflow
SELECT
    locked.*,
    clock_timestamp() AS at
FROM (
    SELECT w.* FROM treasury.workflows AS w
    WHERE w.tenant_id = $1 AND w.id = $2
    FOR NO KEY UPDATE
) AS locked;

-- name: move_workflow
UPDATE treasury.workflows
SET status = $3
WHERE tenant_id = $1 AND id = $2
RETURNING *;

-- name: workflow
SELECT *
FROM treasury.workflows
WHERE tenant_id = $1 AND id = $2;

-- name: list_workflows
SELECT *
FROM treasury.workflows
WHERE
    tenant_id = $1
    AND ($2::text IS NULL OR status = $2)
    AND ($3::uuid IS NULL OR id > $3)
ORDER BY id
LIMIT $4;
