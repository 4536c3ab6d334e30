-- What the ledger asks of PostgreSQL. Every statement names the tenant, except the sweeper's and the relay's.

-- name: limit_lock_wait
SELECT set_config('lock_timeout', $1::text, TRUE);

-- name: claim
INSERT INTO treasury.idempotency (tenant_id, key, request_sha256)
VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING
RETURNING clock_timestamp() AS at;

-- name: kept_answer
SELECT
    request_sha256,
    status,
    answer
FROM treasury.idempotency
WHERE tenant_id = $1 AND key = $2;

-- name: keep_answer
UPDATE treasury.idempotency
SET status = $3, answer = $4
WHERE tenant_id = $1 AND key = $2;

-- name: insert_workflow
INSERT INTO treasury.workflows (tenant_id, id)
VALUES ($1, $2)
ON CONFLICT DO NOTHING;

-- name: authorization_of_intent
SELECT
    a.*,
    h.id AS hold_id,
    h.unsettled,
    h.captured_cents,
    h.expires_at
FROM treasury.authorizations AS a
LEFT JOIN treasury.holds AS h ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
WHERE a.tenant_id = $1 AND a.intent_id = $2
ORDER BY a.created_at DESC, a.id DESC
LIMIT 1;

-- name: authorization_by_id
SELECT
    a.*,
    h.id AS hold_id,
    h.unsettled,
    h.captured_cents,
    h.expires_at
FROM treasury.authorizations AS a
LEFT JOIN treasury.holds AS h ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
WHERE a.tenant_id = $1 AND a.id = $2;

-- name: insert_event
INSERT INTO treasury.outbox (tenant_id, event_id, workflow_id, ordinal, event)
VALUES ($1, $2, $3, $4, $5);

-- name: unpublished_events
SELECT
    tenant_id,
    event_id,
    event
FROM treasury.outbox
WHERE published_at IS NULL
ORDER BY recorded_at, ordinal
LIMIT $1;

-- name: mark_published
UPDATE treasury.outbox AS o
SET published_at = clock_timestamp()
FROM unnest($1::text[], $2::uuid[]) AS done (tenant_id, event_id)
WHERE o.tenant_id = done.tenant_id AND o.event_id = done.event_id;

-- name: relay_position
SELECT
    created_at,
    last_seq,
    messages
FROM treasury.relay_position
WHERE stream = $1;

-- name: keep_relay_position
INSERT INTO treasury.relay_position (stream, created_at, last_seq, messages)
VALUES ($1, $2, $3, $4)
ON CONFLICT (stream) DO UPDATE SET
    created_at = excluded.created_at,
    last_seq = excluded.last_seq,
    messages = excluded.messages;

-- name: allow_time
SELECT set_config('statement_timeout', $1, TRUE);

-- name: publish_again
WITH again AS (
    UPDATE treasury.outbox
    SET published_at = NULL
    WHERE published_at > clock_timestamp() - $1::interval
    RETURNING event_id
)

SELECT count(*) FROM again;

-- name: holds_to_expire
SELECT
    tenant_id,
    id
FROM treasury.holds
WHERE status = 'placed' AND expires_at <= clock_timestamp()
ORDER BY expires_at, id
LIMIT $1 OFFSET $2;

-- name: list_holds
SELECT
    h.*,
    a.intent_id
FROM treasury.holds AS h
INNER JOIN treasury.authorizations AS a ON h.tenant_id = a.tenant_id AND h.authorization_id = a.id
WHERE
    h.tenant_id = $1
    AND ($2::text IS NULL OR h.principal = $2)
    AND ($3::text IS NULL OR h.status = $3)
    AND ($4::uuid IS NULL OR h.id > $4)
ORDER BY h.id
LIMIT $5;

-- name: list_budgets
SELECT *
FROM treasury.budgets
WHERE
    tenant_id = $1
    AND (
        $2::text IS NULL
        OR (budget_key, budget_window, window_start, currency) IN (
            SELECT
                c.budget_key,
                c.budget_window,
                c.window_start,
                c.currency
            FROM treasury.holds AS h
            INNER JOIN treasury.hold_charges AS c ON h.tenant_id = c.tenant_id AND h.id = c.hold_id
            WHERE h.tenant_id = $1 AND h.principal = $2
        )
    )
    AND (
        $3::text IS NULL
        OR (budget_key, budget_window, window_start, currency) > ($3, $4::text, $5::timestamptz, $6::text)
    )
ORDER BY budget_key, budget_window, window_start, currency
LIMIT $7;

-- name: workflow_balance
SELECT
    (
        SELECT coalesce(sum(p.amount_cents), 0) FROM treasury.postings AS p
        WHERE
            p.tenant_id = w.tenant_id AND p.workflow_id = w.id AND p.direction = 'debit'
            AND (
                $2::text IS NULL
                OR EXISTS (
                    SELECT FROM treasury.holds AS h
                    WHERE
                        h.tenant_id = p.tenant_id AND h.authorization_id = p.authorization_id
                        AND h.principal = $2
                )
            )
    ) AS debits_cents,
    (
        SELECT coalesce(sum(p.amount_cents), 0) FROM treasury.postings AS p
        WHERE
            p.tenant_id = w.tenant_id AND p.workflow_id = w.id AND p.direction = 'credit'
            AND (
                $2::text IS NULL
                OR EXISTS (
                    SELECT FROM treasury.holds AS h
                    WHERE
                        h.tenant_id = p.tenant_id AND h.authorization_id = p.authorization_id
                        AND h.principal = $2
                )
            )
    ) AS credits_cents,
    (
        SELECT coalesce(sum(h.amount_cents - h.captured_cents), 0) FROM treasury.holds AS h
        WHERE
            h.tenant_id = w.tenant_id AND h.workflow_id = w.id AND h.status IN ('placed', 'unknown')
            AND ($2::text IS NULL OR h.principal = $2)
    ) AS held_cents,
    (
        SELECT coalesce(sum(h.captured_cents), 0) FROM treasury.holds AS h
        WHERE
            h.tenant_id = w.tenant_id AND h.workflow_id = w.id
            AND ($2::text IS NULL OR h.principal = $2)
    ) AS captured_cents
FROM treasury.workflows AS w
WHERE
    w.tenant_id = $1 AND w.id = $3
    AND (
        $2::text IS NULL
        OR EXISTS (
            SELECT FROM treasury.intents AS i
            WHERE i.tenant_id = w.tenant_id AND i.workflow_id = w.id AND i.principal = $2
        )
    );

-- name: list_postings
SELECT p.*
FROM treasury.postings AS p
WHERE
    p.tenant_id = $1
    AND (
        $2::text IS NULL
        OR EXISTS (
            SELECT FROM treasury.holds AS h
            WHERE h.tenant_id = p.tenant_id AND h.authorization_id = p.authorization_id AND h.principal = $2
        )
    )
    AND ($3::uuid IS NULL OR p.workflow_id = $3)
    AND ($4::text IS NULL OR p.account = $4)
    AND ($5::timestamptz IS NULL OR (p.posted_at, p.id) > ($5, $6::uuid))
ORDER BY p.posted_at, p.id
LIMIT $7;

-- name: trial_balance
SELECT
    account,
    currency,
    debits_cents,
    credits_cents
FROM treasury.account_balances
WHERE tenant_id = $1
ORDER BY account, currency;

-- name: trial_balance_of_principal
SELECT
    p.tenant_id,
    p.account,
    p.currency,
    coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'debit'), 0) AS debits_cents,
    coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'credit'), 0) AS credits_cents
FROM treasury.holds AS h
INNER JOIN treasury.postings AS p ON h.tenant_id = p.tenant_id AND h.authorization_id = p.authorization_id
WHERE h.tenant_id = $1 AND h.principal = $2
GROUP BY p.tenant_id, p.account, p.currency
ORDER BY p.currency, p.account;

-- name: statement
SELECT *
FROM treasury.postings
WHERE account = $1 AND ($2::text IS NULL OR tenant_id = $2)
ORDER BY posted_at, id;

-- name: trial_balance_rows
SELECT *
FROM treasury.account_balances
WHERE $1::text IS NULL OR tenant_id = $1
ORDER BY tenant_id, currency, account;
