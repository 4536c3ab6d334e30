-- What top-ups and the alerts of budgets ask of PostgreSQL.

-- name: one_at_a_time
SELECT pg_advisory_xact_lock(hashtextextended('top-up ' || $1::text || ' ' || $2::text, 0));

-- name: credited_before
SELECT *
FROM treasury.top_ups
WHERE provider = $1 AND (provider_event_id = $2 OR reference = $3)
ORDER BY received_at
LIMIT 1;

-- name: top_up_budget
-- The mark of low is a part ($7 percent) of what is there after the top-up.
INSERT INTO treasury.budgets AS b (
    tenant_id, budget_key, budget_window, window_start, currency, limit_cents, held_cents, captured_cents,
    topped_up_cents, low_cents
)
VALUES ($1, $2, $3, $4, $5, 0, 0, 0, $6::bigint, $6::bigint * $7::integer / 100)
ON CONFLICT (tenant_id, budget_key, budget_window, window_start, currency) DO UPDATE
    SET
        topped_up_cents = b.topped_up_cents + excluded.topped_up_cents,
        low_cents = greatest(
            0,
            (b.limit_cents::numeric + b.topped_up_cents + excluded.topped_up_cents - b.captured_cents)
            * $7::integer / 100
        )::bigint
RETURNING b.limit_cents + b.topped_up_cents - b.captured_cents AS balance_cents;

-- name: credit
-- The provider's word where a gateway's warrant would be, the entry with its postings, and the top-up.
WITH intent AS (
    INSERT INTO treasury.intents (
        tenant_id, id, workflow_id, amount_cents, currency, purpose, payee, principal, status
    )
    VALUES ($1, $2, $3, $4, $5, 'top_up', $6, $7, 'authorized')
),

warrant AS (
    INSERT INTO treasury.warrants (tenant_id, id, gateway, act, intent_id, decision_id, expires_at)
    VALUES ($1, $8, $7, 'top_up', $2, $9, $10)
),

authorized AS (
    INSERT INTO treasury.authorizations (
        tenant_id, id, intent_id, workflow_id, warrant_id, principal, role, status, reasons, ceiling_cents,
        currency, decision_id, policy_version, policy_revision
    )
    VALUES ($1, $11, $2, $3, $8, $7, 'provider', 'approved', '[]', $4, $5, $9, '', '')
),

entry AS (
    INSERT INTO treasury.journal_entries (
        tenant_id, id, workflow_id, authorization_id, amount_cents, currency, kind
    )
    VALUES ($1, $12, $3, $11, $4, $5, 'top_up')
),

posted AS (
    INSERT INTO treasury.postings (
        tenant_id, id, journal_entry_id, workflow_id, authorization_id, account, direction, amount_cents,
        currency
    )
    VALUES
    ($1, $13, $12, $3, $11, $14, 'debit', $4, $5),
    ($1, $15, $12, $3, $11, $16, 'credit', $4, $5)
)

INSERT INTO treasury.top_ups (
    tenant_id, id, provider, provider_event_id, reference, budget_key, budget_window, window_start,
    amount_cents, currency, journal_entry_id
)
VALUES ($1, $17, $6, $9, $18, $19, $20, $21, $4, $5, $12);

-- name: alerts_to_tell
SELECT *
FROM treasury.budget_alerts
WHERE told_at IS NULL
ORDER BY raised_at, id
LIMIT $1
FOR UPDATE SKIP LOCKED;

-- name: alert_told
UPDATE treasury.budget_alerts
SET told_at = clock_timestamp()
WHERE tenant_id = $1 AND id = $2;

-- name: workflows_of_budget
-- Those that still hold money of it.
SELECT DISTINCT h.workflow_id
FROM treasury.holds AS h
INNER JOIN treasury.hold_charges AS c ON h.tenant_id = c.tenant_id AND h.id = c.hold_id
WHERE
    h.status = 'placed' AND h.tenant_id = $1
    AND c.budget_key = $2 AND c.budget_window = $3 AND c.window_start = $4 AND c.currency = $5
ORDER BY h.workflow_id
LIMIT $6;
