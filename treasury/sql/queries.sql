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

-- name: use_warrant
INSERT INTO treasury.warrants (tenant_id, id, gateway, act, intent_id, decision_id, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
RETURNING id;

-- name: insert_workflow
INSERT INTO treasury.workflows (tenant_id, id)
VALUES ($1, $2)
ON CONFLICT DO NOTHING;

-- name: lock_workflow
SELECT
    locked.*,
    clock_timestamp() AS at
FROM (
    SELECT
        w.id,
        w.status,
        w.budget_cents,
        w.budget_currency
    FROM treasury.workflows AS w
    WHERE w.tenant_id = $1 AND w.id = $2
    FOR NO KEY UPDATE
) AS locked;

-- name: insert_intent
INSERT INTO treasury.intents (
    tenant_id, id, workflow_id, amount_cents, currency, purpose, payee, principal, policy_version, status
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'intent_created')
ON CONFLICT DO NOTHING
RETURNING created_at;

-- name: intent
SELECT *
FROM treasury.intents
WHERE tenant_id = $1 AND id = $2;

-- name: move_intent
UPDATE treasury.intents
SET status = $3
WHERE tenant_id = $1 AND id = $2;

-- name: live_authorization
SELECT id
FROM treasury.authorizations
WHERE tenant_id = $1 AND intent_id = $2 AND status IN ('pending', 'approved', 'executed');

-- name: insert_authorization
INSERT INTO treasury.authorizations (
    tenant_id, id, intent_id, workflow_id, warrant_id, principal, role, status, reasons, ceiling_cents,
    currency, decision_id, policy_version, policy_revision, approval_role
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: move_authorization
UPDATE treasury.authorizations
SET status = $3
WHERE tenant_id = $1 AND id = $2;

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

-- name: ensure_budgets
INSERT INTO treasury.budgets (
    tenant_id, budget_key, budget_window, window_start, currency, limit_cents, held_cents, captured_cents
)
SELECT
    $1,
    wanted.budget_key,
    wanted.budget_window,
    wanted.window_start,
    wanted.currency,
    0,
    0,
    0
FROM
    unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[])
        AS wanted (budget_key, budget_window, window_start, currency)
ORDER BY wanted.budget_key, wanted.budget_window, wanted.window_start, wanted.currency
ON CONFLICT DO NOTHING;

-- name: lock_budgets
SELECT b.*
FROM treasury.budgets AS b
INNER JOIN
    unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[])
        AS wanted (budget_key, budget_window, window_start, currency)
    ON
        b.budget_key = wanted.budget_key
        AND b.budget_window = wanted.budget_window
        AND b.window_start = wanted.window_start
        AND b.currency = wanted.currency
WHERE b.tenant_id = $1
ORDER BY b.budget_key, b.budget_window, b.window_start, b.currency
FOR NO KEY UPDATE OF b;

-- name: write_budgets
UPDATE treasury.budgets AS b
SET
    limit_cents = changed.limit_cents,
    held_cents = changed.held_cents,
    captured_cents = changed.captured_cents
FROM
    unnest(
        $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[]
    ) AS changed (
        budget_key, budget_window, window_start, currency, limit_cents, held_cents, captured_cents
    )
WHERE
    b.tenant_id = $1
    AND b.budget_key = changed.budget_key
    AND b.budget_window = changed.budget_window
    AND b.window_start = changed.window_start
    AND b.currency = changed.currency;

-- name: insert_hold
INSERT INTO treasury.holds (
    tenant_id, id, authorization_id, workflow_id, principal, gateway, amount_cents, currency, status,
    unsettled, placed_at, expires_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'placed', $9, $10, $11);

-- name: insert_charges
INSERT INTO treasury.hold_charges (
    tenant_id, hold_id, budget_key, budget_window, window_start, currency
)
SELECT
    $1,
    $6,
    wanted.budget_key,
    wanted.budget_window,
    wanted.window_start,
    wanted.currency
FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[])
    AS wanted (budget_key, budget_window, window_start, currency);

-- name: charges_of_hold
SELECT
    budget_key,
    budget_window,
    window_start,
    currency
FROM treasury.hold_charges
WHERE tenant_id = $1 AND hold_id = $2;

-- name: hold
SELECT
    h.*,
    a.status AS authorization_status,
    a.intent_id,
    a.decision_id
FROM treasury.holds AS h
INNER JOIN treasury.authorizations AS a ON h.tenant_id = a.tenant_id AND h.authorization_id = a.id
WHERE h.tenant_id = $1 AND h.id = $2;

-- name: change_hold
UPDATE treasury.holds
SET status = $3, captured_cents = captured_cents + $4
WHERE tenant_id = $1 AND id = $2;

-- name: capture
WITH posted AS (
    INSERT INTO treasury.journal_entries
    (tenant_id, id, workflow_id, authorization_id, amount_cents, currency)
    VALUES ($1, $2, $3, $4, $5, $6)
),

sides AS (
    INSERT INTO treasury.postings (
        tenant_id, id, journal_entry_id, workflow_id, authorization_id, account, direction, amount_cents,
        currency
    )
    VALUES
    ($1, $7, $2, $3, $4, $8, 'debit', $5, $6),
    ($1, $9, $2, $3, $4, $10, 'credit', $5, $6)
),

executed AS (
    INSERT INTO treasury.executions (
        tenant_id, id, hold_id, authorization_id, workflow_id, journal_entry_id, amount_cents, currency,
        recipient_account
    )
    VALUES ($1, $11, $12, $4, $3, $2, $5, $6, $8)
    RETURNING executed_at
),

held AS (
    UPDATE treasury.holds
    SET status = $13, captured_cents = captured_cents + $5
    WHERE tenant_id = $1 AND id = $12
)

SELECT executed_at FROM executed;

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

-- name: workflow_of_hold
SELECT workflow_id
FROM treasury.holds
WHERE tenant_id = $1 AND id = $2;

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
