-- Cases: what is counted for policy, what policy found, and what operators do about it.

-- name: keep_refusals
INSERT INTO control.refusals (tenant, decision_id, event_id, agent, code, at)
SELECT fresh.* FROM
    unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
        AS fresh (tenant, decision_id, event_id, agent, code, at)
ON CONFLICT DO NOTHING;

-- name: keep_unknown_holds
INSERT INTO control.unknown_holds (tenant, hold_id, event_id, since)
SELECT fresh.* FROM
    unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS fresh (tenant, hold_id, event_id, since)
ON CONFLICT DO NOTHING;

-- name: decisions_of
SELECT
    d.tenant,
    d.decision_id,
    d.agent,
    d.tool
FROM control.decisions AS d
INNER JOIN unnest($1::text[], $2::text[]) AS wanted (tenant, decision_id)
    ON d.tenant = wanted.tenant AND d.decision_id = wanted.decision_id;

-- name: count_refusals
SELECT
    asked.place,
    counted.code,
    count(*) AS refusals
FROM unnest($1::integer[], $2::text[], $3::text[], $4::timestamptz[]) AS asked (place, tenant, agent, at)
CROSS JOIN
    LATERAL (
        SELECT r.code
        FROM control.refusals AS r
        WHERE
            r.tenant = asked.tenant AND r.agent = asked.agent
            AND r.at > asked.at - $5::interval AND r.at <= asked.at
        ORDER BY r.at DESC
        LIMIT $6
    ) AS counted
GROUP BY asked.place, counted.code;

-- name: forget_refusals
DELETE FROM control.refusals
WHERE at < clock_timestamp() - $1::interval;

-- name: is_evidence
SELECT count(*) > 0
FROM control.case_evidence AS e
INNER JOIN control.cases AS c ON e.tenant = c.tenant AND e.case_id = c.id
WHERE e.tenant = $1 AND e.event_id = $2 AND c.kind = $3 AND c.subject = $4;

-- name: open_case
INSERT INTO control.cases (tenant, id, kind, subject, agent, workflow_id, message)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant, kind, subject) WHERE status <> 'resolved' DO NOTHING
RETURNING opened_at;

-- name: open_case_of
SELECT id
FROM control.cases
WHERE tenant = $1 AND kind = $2 AND subject = $3 AND status <> 'resolved'
FOR NO KEY UPDATE;

-- name: refusals_shown
SELECT r.event_id
FROM control.refusals AS r
WHERE
    r.tenant = $1 AND r.agent = $2 AND r.code = any($3::text[])
    AND r.at > $4::timestamptz - $5::interval AND r.at <= $4
ORDER BY r.at DESC
LIMIT $6;

-- name: add_evidence
INSERT INTO control.case_evidence (tenant, case_id, event_id, workflow_id)
SELECT
    e.tenant,
    $2,
    e.event_id,
    e.workflow_id
FROM control.events AS e
WHERE e.tenant = $1 AND e.event_id = any($3::text[])
ORDER BY e.position
LIMIT
    greatest(
        0,
        $4 - (
            SELECT count(*) FROM control.case_evidence AS k
            WHERE k.tenant = $1 AND k.case_id = $2
        )
    )
ON CONFLICT DO NOTHING;

-- name: overdue_holds
SELECT
    u.tenant,
    u.hold_id,
    e.event,
    date_part('epoch', clock_timestamp() - u.since) AS age_s,
    exists(
        SELECT 1
        FROM control.events AS ended
        WHERE
            ended.tenant = u.tenant AND ended.workflow_id = e.workflow_id
            AND ended.event_type IN ('treasury.executed', 'treasury.voided')
            AND ended.event -> 'payload' ->> 'hold_id' = u.hold_id
    ) AS settled
FROM control.unknown_holds AS u
INNER JOIN control.events AS e ON u.tenant = e.tenant AND u.event_id = e.event_id
WHERE u.since < clock_timestamp() - $1::interval
ORDER BY u.since
LIMIT $2;

-- name: forget_unknown_holds
DELETE FROM control.unknown_holds AS u
USING unnest($1::text[], $2::text[]) AS done (tenant, hold_id)
WHERE u.tenant = done.tenant AND u.hold_id = done.hold_id;

-- name: list_cases
SELECT c.*
FROM control.cases AS c
WHERE
    c.tenant = $1
    AND (
        $2::text IS NULL
        OR c.workflow_id = $2
        OR EXISTS (
            SELECT 1 FROM control.case_evidence AS e
            WHERE e.tenant = c.tenant AND e.case_id = c.id AND e.workflow_id = $2
        )
    )
    AND ($3::text IS NULL OR c.status = $3)
    AND ($4::text IS NULL OR c.agent = $4)
    AND ($5::text IS NULL OR c.kind = $5)
    AND ($6::timestamptz IS NULL OR (c.opened_at, c.id) < ($6, $7::uuid))
ORDER BY c.opened_at DESC, c.id DESC
LIMIT $8;

-- name: one_case
SELECT *
FROM control.cases
WHERE tenant = $1 AND id = $2;

-- name: evidence
SELECT e.event
FROM control.case_evidence AS k
INNER JOIN control.events AS e ON k.tenant = e.tenant AND k.event_id = e.event_id
WHERE k.tenant = $1 AND k.case_id = $2
ORDER BY e.position;

-- name: lock_case
SELECT *
FROM control.cases
WHERE tenant = $1 AND id = $2
FOR NO KEY UPDATE;

-- name: assign_case
UPDATE control.cases
SET status = 'assigned', assigned_to = $3
WHERE tenant = $1 AND id = $2
RETURNING *;

-- name: resolve_case
UPDATE control.cases
SET
    status = 'resolved',
    resolution = $3,
    note = $4,
    resolved_by = $5,
    resolved_at = clock_timestamp()
WHERE tenant = $1 AND id = $2
RETURNING *;

-- name: forget_counted
DELETE FROM control.refusals AS r
USING control.case_evidence AS k
WHERE k.tenant = $1 AND k.case_id = $2 AND r.tenant = k.tenant AND r.event_id = k.event_id;
