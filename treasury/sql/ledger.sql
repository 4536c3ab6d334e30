-- A batch of commands in one database transaction: lock, read, write. Rows of several commands come and go
-- as arrays, each sorted where rows are locked, so that two batches never wait for each other in a circle.

-- name: lock_workflows
WITH begun AS (
    INSERT INTO treasury.workflows (tenant_id, id)
    SELECT DISTINCT
        spent.tenant_id,
        spent.workflow_id
    FROM unnest($1::text[], $2::uuid[]) AS spent (tenant_id, workflow_id)
    WHERE
        NOT EXISTS (
            SELECT 1 FROM treasury.workflows AS w
            WHERE w.tenant_id = spent.tenant_id AND w.id = spent.workflow_id
        )
    ORDER BY spent.tenant_id, spent.workflow_id
    ON CONFLICT DO NOTHING
    RETURNING tenant_id, id, status, budget_cents, budget_currency
),

named AS (
    SELECT
        spent.tenant_id,
        spent.workflow_id
    FROM unnest($1::text[], $2::uuid[]) AS spent (tenant_id, workflow_id)
    UNION
    SELECT
        i.tenant_id,
        i.workflow_id
    FROM unnest($3::text[], $4::uuid[]) AS wanted (tenant_id, id)
    INNER JOIN treasury.intents AS i ON wanted.tenant_id = i.tenant_id AND wanted.id = i.id
    UNION
    SELECT
        h.tenant_id,
        h.workflow_id
    FROM unnest($5::text[], $6::uuid[]) AS wanted (tenant_id, id)
    INNER JOIN treasury.holds AS h ON wanted.tenant_id = h.tenant_id AND wanted.id = h.id
)

SELECT
    begun.tenant_id,
    begun.id,
    begun.status,
    begun.budget_cents,
    begun.budget_currency
FROM begun
UNION ALL
SELECT
    locked.tenant_id,
    locked.id,
    locked.status,
    locked.budget_cents,
    locked.budget_currency
FROM (
    SELECT
        w.tenant_id,
        w.id,
        w.status,
        w.budget_cents,
        w.budget_currency
    FROM named
    INNER JOIN treasury.workflows AS w ON named.tenant_id = w.tenant_id AND named.workflow_id = w.id
    ORDER BY w.tenant_id, w.id
    FOR NO KEY UPDATE OF w
) AS locked;

-- name: known
SELECT
    k.request_sha256,
    k.status AS kept_status,
    k.answer AS kept_answer,
    i.id AS intent_id,
    i.workflow_id,
    i.amount_cents,
    i.currency,
    i.purpose,
    i.payee,
    i.principal,
    i.policy_version,
    i.status,
    i.created_at,
    a.id AS authorization_id,
    a.status AS authorization_status,
    a.decision_id,
    h.id AS hold_id,
    h.gateway,
    h.status AS hold_status,
    h.unsettled,
    h.amount_cents AS held_cents,
    h.captured_cents,
    h.expires_at,
    charged.keys,
    charged.windows,
    charged.starts,
    clock_timestamp() AS at,
    u.id IS NOT NULL AS warrant_used
FROM
    unnest($1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[]) WITH ORDINALITY
        AS wanted (tenant_id, key, warrant_id, intent_id, hold_id, n)
LEFT JOIN treasury.idempotency AS k ON wanted.tenant_id = k.tenant_id AND wanted.key = k.key
LEFT JOIN treasury.warrants AS u ON wanted.tenant_id = u.tenant_id AND wanted.warrant_id = u.id
LEFT JOIN treasury.holds AS named ON wanted.tenant_id = named.tenant_id AND wanted.hold_id = named.id
LEFT JOIN LATERAL (
    SELECT n.id
    FROM treasury.authorizations AS n
    WHERE n.tenant_id = wanted.tenant_id AND n.intent_id = wanted.intent_id
    ORDER BY n.status IN ('pending', 'approved', 'executed') DESC, n.created_at DESC, n.id DESC
    LIMIT 1
) AS latest ON wanted.intent_id IS NOT NULL
LEFT JOIN LATERAL (
    SELECT o.*
    FROM treasury.authorizations AS o
    WHERE o.tenant_id = wanted.tenant_id AND o.id = coalesce(named.authorization_id, latest.id)
    ORDER BY o.id
    LIMIT 1 -- by its key for each, never all of them for all
) AS a ON TRUE
LEFT JOIN LATERAL (
    SELECT d.*
    FROM treasury.intents AS d
    WHERE d.tenant_id = wanted.tenant_id AND d.id = coalesce(wanted.intent_id, a.intent_id)
    ORDER BY d.id
    LIMIT 1
) AS i ON TRUE
LEFT JOIN treasury.holds AS h ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
LEFT JOIN LATERAL (
    SELECT
        array_agg(c.budget_key) AS keys,
        array_agg(c.budget_window) AS windows,
        array_agg(c.window_start) AS starts
    FROM treasury.hold_charges AS c
    WHERE c.tenant_id = h.tenant_id AND c.hold_id = h.id
) AS charged ON h.id IS NOT NULL
ORDER BY wanted.n;

-- name: lock_budgets_of_all
WITH wanted AS MATERIALIZED (
    SELECT w.*
    FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[])
        AS w (tenant_id, budget_key, budget_window, window_start, currency)
),

begun AS (
    INSERT INTO treasury.budgets (
        tenant_id, budget_key, budget_window, window_start, currency, limit_cents, held_cents, captured_cents
    )
    SELECT
        wanted.tenant_id,
        wanted.budget_key,
        wanted.budget_window,
        wanted.window_start,
        wanted.currency,
        0,
        0,
        0
    FROM wanted
    LEFT JOIN treasury.budgets AS b
        ON
            wanted.tenant_id = b.tenant_id
            AND wanted.budget_key = b.budget_key
            AND wanted.budget_window = b.budget_window
            AND wanted.window_start = b.window_start
            AND wanted.currency = b.currency
    WHERE b.tenant_id IS NULL
    ORDER BY
        wanted.tenant_id, wanted.budget_key, wanted.budget_window, wanted.window_start, wanted.currency
    ON CONFLICT DO NOTHING
    RETURNING *
)

SELECT
    begun.tenant_id,
    begun.budget_key,
    begun.budget_window,
    begun.window_start,
    begun.currency,
    begun.limit_cents,
    begun.held_cents,
    begun.captured_cents,
    begun.topped_up_cents
FROM begun
UNION ALL
SELECT
    locked.tenant_id,
    locked.budget_key,
    locked.budget_window,
    locked.window_start,
    locked.currency,
    locked.limit_cents,
    locked.held_cents,
    locked.captured_cents,
    locked.topped_up_cents
FROM (
    SELECT b.*
    FROM wanted
    INNER JOIN treasury.budgets AS b
        ON
            wanted.tenant_id = b.tenant_id
            AND wanted.budget_key = b.budget_key
            AND wanted.budget_window = b.budget_window
            AND wanted.window_start = b.window_start
            AND wanted.currency = b.currency
    ORDER BY b.tenant_id, b.budget_key, b.budget_window, b.window_start, b.currency
    FOR NO KEY UPDATE OF b
) AS locked;

-- name: place
WITH used AS (
    INSERT INTO treasury.warrants (tenant_id, id, gateway, act, intent_id, decision_id, expires_at)
    SELECT
        w.tenant_id,
        w.id,
        w.gateway,
        w.act,
        w.intent_id,
        w.decision_id,
        w.expires_at
    FROM unnest($1::treasury.new_warrant[]) AS w
),

declared AS (
    INSERT INTO treasury.intents (
        tenant_id, id, workflow_id, amount_cents, currency, purpose, payee, principal, policy_version, status,
        created_at
    )
    SELECT
        i.tenant_id,
        i.id,
        i.workflow_id,
        i.amount_cents,
        i.currency,
        i.purpose,
        i.payee,
        i.principal,
        i.policy_version,
        i.status,
        i.created_at
    FROM unnest($2::treasury.new_intent[]) AS i
),

authorized AS (
    INSERT INTO treasury.authorizations (
        tenant_id, id, intent_id, workflow_id, warrant_id, principal, role, status, reasons, ceiling_cents,
        currency, decision_id, policy_version, policy_revision, approval_role
    )
    SELECT
        a.tenant_id,
        a.id,
        a.intent_id,
        a.workflow_id,
        a.warrant_id,
        a.principal,
        a.role,
        a.status,
        a.reasons::jsonb,
        a.ceiling_cents,
        a.currency,
        a.decision_id,
        a.policy_version,
        a.policy_revision,
        a.approval_role
    FROM unnest($3::treasury.new_authorization[]) AS a
),

held AS (
    INSERT INTO treasury.holds (
        tenant_id, id, authorization_id, workflow_id, principal, gateway, amount_cents, currency, status,
        unsettled, placed_at, expires_at
    )
    SELECT
        h.tenant_id,
        h.id,
        h.authorization_id,
        h.workflow_id,
        h.principal,
        h.gateway,
        h.amount_cents,
        h.currency,
        'placed',
        h.unsettled,
        h.placed_at,
        h.expires_at
    FROM unnest($4::treasury.new_hold[]) AS h
)

INSERT INTO treasury.hold_charges (tenant_id, hold_id, budget_key, budget_window, window_start, currency)
SELECT
    c.tenant_id,
    c.hold_id,
    c.budget_key,
    c.budget_window,
    c.window_start,
    c.currency
FROM unnest($5::treasury.new_charge[]) AS c;

-- name: settle
WITH executed AS MATERIALIZED (
    SELECT * FROM unnest($1::treasury.new_execution[])
),

posted AS (
    INSERT INTO treasury.journal_entries (
        tenant_id, id, workflow_id, authorization_id, amount_cents, currency, posted_at
    )
    SELECT
        x.tenant_id,
        x.journal_entry_id,
        x.workflow_id,
        x.authorization_id,
        x.amount_cents,
        x.currency,
        x.at
    FROM executed AS x
),

sides AS (
    INSERT INTO treasury.postings (
        tenant_id, id, journal_entry_id, workflow_id, authorization_id, account, direction, amount_cents,
        currency, posted_at
    )
    SELECT
        x.tenant_id,
        side.id,
        x.journal_entry_id,
        x.workflow_id,
        x.authorization_id,
        side.account,
        side.direction,
        x.amount_cents,
        x.currency,
        x.at
    FROM executed AS x
    CROSS JOIN LATERAL (
        VALUES (x.debit_id, x.debited, 'debit'), (x.credit_id, x.credited, 'credit')
    ) AS side (id, account, direction)
),

kept AS (
    INSERT INTO treasury.executions (
        tenant_id, id, hold_id, authorization_id, workflow_id, journal_entry_id, amount_cents, currency,
        recipient_account, executed_at
    )
    SELECT
        x.tenant_id,
        x.id,
        x.hold_id,
        x.authorization_id,
        x.workflow_id,
        x.journal_entry_id,
        x.amount_cents,
        x.currency,
        x.debited,
        x.at
    FROM executed AS x
)

UPDATE treasury.holds AS h
SET status = changed.status, captured_cents = changed.captured_cents
FROM unnest($2::treasury.changed_hold[]) AS changed
WHERE h.tenant_id = changed.tenant_id AND h.id = changed.id;

-- name: conclude
WITH moved AS (
    UPDATE treasury.authorizations AS a
    SET status = changed.status
    FROM unnest($1::treasury.changed_status[]) AS changed
    WHERE a.tenant_id = changed.tenant_id AND a.id = changed.id
),

followed AS (
    UPDATE treasury.intents AS i
    SET status = changed.status
    FROM unnest($2::treasury.changed_status[]) AS changed
    WHERE i.tenant_id = changed.tenant_id AND i.id = changed.id
),

charged AS (
    UPDATE treasury.budgets AS b
    SET
        limit_cents = changed.limit_cents,
        held_cents = changed.held_cents,
        captured_cents = changed.captured_cents
    FROM unnest($3::treasury.budget_state[]) AS changed
    WHERE
        b.tenant_id = changed.tenant_id
        AND b.budget_key = changed.budget_key
        AND b.budget_window = changed.budget_window
        AND b.window_start = changed.window_start
        AND b.currency = changed.currency
),

told AS (
    INSERT INTO treasury.outbox (tenant_id, event_id, workflow_id, ordinal, event)
    SELECT
        e.tenant_id,
        e.event_id,
        e.workflow_id,
        e.ordinal,
        e.event::jsonb
    FROM unnest($4::treasury.new_event[]) AS e
)

INSERT INTO treasury.idempotency (tenant_id, key, request_sha256, status, answer)
SELECT
    k.tenant_id,
    k.key,
    k.request_sha256,
    k.status,
    k.answer::jsonb
FROM unnest($5::treasury.kept_answer[]) AS k
ORDER BY k.tenant_id, k.key;

-- name: intent
SELECT
    id AS intent_id,
    workflow_id,
    amount_cents,
    currency,
    purpose,
    payee,
    principal,
    policy_version,
    status,
    created_at
FROM treasury.intents
WHERE tenant_id = $1 AND id = $2;
