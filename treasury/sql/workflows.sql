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
-- An agent ($2) sees those in which it declared a spend, an operator (None) all.
SELECT w.*
FROM treasury.workflows AS w
WHERE
    w.tenant_id = $1 AND w.id = $3
    AND (
        $2::text IS NULL
        OR EXISTS (
            SELECT FROM treasury.intents AS i
            WHERE i.tenant_id = w.tenant_id AND i.principal = $2 AND i.workflow_id = w.id
        )
    );

-- name: list_workflows
SELECT w.*
FROM treasury.workflows AS w
WHERE
    w.tenant_id = $1
    AND (
        $2::text IS NULL
        OR EXISTS (
            SELECT FROM treasury.intents AS i
            WHERE i.tenant_id = w.tenant_id AND i.principal = $2 AND i.workflow_id = w.id
        )
    )
    AND ($3::text IS NULL OR w.status = $3)
    AND ($4::uuid IS NULL OR w.id > $4)
ORDER BY w.id
LIMIT $5;
