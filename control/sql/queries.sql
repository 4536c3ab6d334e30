-- The recorder's writes take whole batches as arrays; what is there already stays as it is.

-- name: record_events
INSERT INTO control.events (tenant, event_id, event_type, workflow_id, occurred_at, event)
SELECT
    fresh.tenant,
    fresh.event_id,
    fresh.event_type,
    fresh.workflow_id,
    fresh.occurred_at,
    fresh.event
FROM
    unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::jsonb[])
    WITH ORDINALITY
        AS fresh (tenant, event_id, event_type, workflow_id, occurred_at, event, place)
ORDER BY fresh.place
ON CONFLICT DO NOTHING;

-- name: record_decisions
INSERT INTO control.decisions (
    tenant, decision_id, at, agent, role, tool, workflow_id, allow, codes, record
)
SELECT
    fresh.tenant,
    fresh.record ->> 'decision_id' AS decision_id,
    (fresh.record ->> 'at')::timestamptz AS at,
    fresh.record #>> '{principal,id}' AS agent,
    fresh.record #>> '{principal,role}' AS role,
    fresh.record #>> '{action,name}' AS tool,
    fresh.record ->> 'workflow_id' AS workflow_id,
    (fresh.record ->> 'allow')::boolean AS allow,
    array(SELECT reason ->> 'code' FROM jsonb_array_elements(fresh.record -> 'reasons') AS reason) AS codes,
    fresh.record
FROM unnest($1::text[], $2::jsonb[]) AS fresh (tenant, record)
ON CONFLICT DO NOTHING;

-- name: record_outcomes
INSERT INTO control.outcomes (tenant, decision_id, record)
SELECT
    fresh.tenant,
    fresh.record ->> 'decision_id' AS decision_id,
    fresh.record
FROM unnest($1::text[], $2::jsonb[]) AS fresh (tenant, record)
ON CONFLICT DO NOTHING;

-- name: decision
SELECT
    decided.record AS decided,
    completed.record AS completed
FROM control.decisions AS decided
LEFT JOIN control.outcomes AS completed
    ON decided.tenant = completed.tenant AND decided.decision_id = completed.decision_id
WHERE decided.tenant = $1 AND decided.decision_id = $2;

-- name: decisions
SELECT
    decided.at,
    decided.decision_id,
    decided.record AS decided,
    completed.record AS completed
FROM control.decisions AS decided
LEFT JOIN control.outcomes AS completed
    ON decided.tenant = completed.tenant AND decided.decision_id = completed.decision_id
WHERE
    decided.tenant = $1
    AND ($2::text IS NULL OR decided.agent = $2)
    AND ($3::text IS NULL OR decided.role = $3)
    AND ($4::text IS NULL OR decided.tool = $4)
    AND ($5::boolean IS NULL OR decided.allow = $5)
    AND ($6::text IS NULL OR $6 = any(decided.codes) OR completed.record ->> 'code' = $6)
    AND ($7::text IS NULL OR decided.workflow_id = $7)
    AND ($8::timestamptz IS NULL OR decided.at >= $8)
    AND ($9::timestamptz IS NULL OR decided.at < $9)
    AND ($10::timestamptz IS NULL OR (decided.at, decided.decision_id) < ($10, $11::text))
ORDER BY decided.at DESC, decided.decision_id DESC
LIMIT $12;

-- name: events
SELECT
    position,
    event
FROM control.events
WHERE
    tenant = $1
    AND ($2::text IS NULL OR workflow_id = $2)
    AND ($3::text IS NULL OR event_type LIKE $3)
    AND ($4::bigint IS NULL OR position > $4)
ORDER BY position
LIMIT $5;
