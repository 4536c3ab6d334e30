-- What `ledger verify` recomputes. Each statement gives the places where what is kept differs from what
-- the entries say, the first one first: tenant_id, place, expected, found.

-- name: entries_balance
SELECT
    e.tenant_id,
    e.id::text AS place,
    e.amount_cents::text AS expected,
    concat(coalesce(p.debits, 0), ' debited, ', coalesce(p.credits, 0), ' credited') AS found
FROM treasury.journal_entries AS e
LEFT JOIN (
    SELECT
        tenant_id,
        journal_entry_id,
        sum(amount_cents) FILTER (WHERE direction = 'debit') AS debits,
        sum(amount_cents) FILTER (WHERE direction = 'credit') AS credits
    FROM treasury.postings
    GROUP BY tenant_id, journal_entry_id
) AS p ON e.tenant_id = p.tenant_id AND e.id = p.journal_entry_id
WHERE
    p.debits IS DISTINCT FROM e.amount_cents::numeric
    OR p.credits IS DISTINCT FROM e.amount_cents::numeric
ORDER BY e.posted_at, e.id
LIMIT 1;

-- name: postings_have_entries
SELECT
    p.tenant_id,
    p.id::text AS place,
    'an entry of the same workflow, authorization and currency' AS expected,
    'none' AS found
FROM treasury.postings AS p
LEFT JOIN treasury.journal_entries AS e
    ON
        p.tenant_id = e.tenant_id
        AND p.journal_entry_id = e.id
        AND p.workflow_id = e.workflow_id
        AND p.authorization_id = e.authorization_id
        AND p.currency = e.currency
WHERE e.id IS NULL
ORDER BY p.posted_at, p.id
LIMIT 1;

-- name: entries_have_authorizations
SELECT
    e.tenant_id,
    e.id::text AS place,
    'an authorization of the same workflow' AS expected,
    'none' AS found
FROM treasury.journal_entries AS e
LEFT JOIN treasury.authorizations AS a
    ON e.tenant_id = a.tenant_id AND e.authorization_id = a.id AND e.workflow_id = a.workflow_id
WHERE a.id IS NULL
ORDER BY e.posted_at, e.id
LIMIT 1;

-- name: executions_match_entries
SELECT
    coalesce(e.tenant_id, x.tenant_id) AS tenant_id,
    coalesce(e.id, x.journal_entry_id)::text AS place,
    coalesce(e.amount_cents::text, 'an entry') AS expected,
    coalesce(x.amount_cents::text, 'no execution') AS found
FROM treasury.journal_entries AS e
FULL JOIN treasury.executions AS x ON e.tenant_id = x.tenant_id AND e.id = x.journal_entry_id
WHERE e.amount_cents IS DISTINCT FROM x.amount_cents
ORDER BY e.posted_at, e.id
LIMIT 1;

-- name: account_balances
SELECT
    coalesce(p.tenant_id, b.tenant_id) AS tenant_id,
    concat_ws(' ', coalesce(p.account, b.account), coalesce(p.currency, b.currency)) AS place,
    concat(coalesce(p.debits, 0), ' debited, ', coalesce(p.credits, 0), ' credited') AS expected,
    concat(coalesce(b.debits_cents, 0), ' debited, ', coalesce(b.credits_cents, 0), ' credited') AS found
FROM (
    SELECT
        tenant_id,
        account,
        currency,
        coalesce(sum(amount_cents) FILTER (WHERE direction = 'debit'), 0) AS debits,
        coalesce(sum(amount_cents) FILTER (WHERE direction = 'credit'), 0) AS credits
    FROM treasury.postings
    GROUP BY tenant_id, account, currency
) AS p
FULL JOIN treasury.account_balances AS b
    ON p.tenant_id = b.tenant_id AND p.account = b.account AND p.currency = b.currency
WHERE p.debits IS DISTINCT FROM b.debits_cents OR p.credits IS DISTINCT FROM b.credits_cents
ORDER BY tenant_id, place
LIMIT 1;

-- name: holds_match_executions
SELECT
    h.tenant_id,
    h.id::text AS place,
    h.captured_cents::text AS found,
    coalesce(x.executed, 0)::text AS expected
FROM treasury.holds AS h
LEFT JOIN (
    SELECT
        tenant_id,
        hold_id,
        sum(amount_cents) AS executed
    FROM treasury.executions
    GROUP BY tenant_id, hold_id
) AS x ON h.tenant_id = x.tenant_id AND h.id = x.hold_id
WHERE h.captured_cents <> coalesce(x.executed, 0) OR h.captured_cents > h.amount_cents
ORDER BY h.placed_at, h.id
LIMIT 1;

-- name: budgets
SELECT
    b.tenant_id,
    concat_ws(' ', b.budget_key, b.budget_window, b.window_start, b.currency) AS place,
    concat(coalesce(c.held, 0), ' held, ', coalesce(c.captured, 0), ' captured') AS expected,
    concat(b.held_cents, ' held, ', b.captured_cents, ' captured') AS found
FROM treasury.budgets AS b
LEFT JOIN (
    SELECT
        g.tenant_id,
        g.budget_key,
        g.budget_window,
        g.window_start,
        g.currency,
        sum(h.captured_cents) AS captured,
        coalesce(
            sum(h.amount_cents - h.captured_cents) FILTER (WHERE h.status IN ('placed', 'unknown')), 0
        ) AS held
    FROM treasury.hold_charges AS g
    INNER JOIN treasury.holds AS h ON g.tenant_id = h.tenant_id AND g.hold_id = h.id
    GROUP BY g.tenant_id, g.budget_key, g.budget_window, g.window_start, g.currency
) AS c
    ON
        b.tenant_id = c.tenant_id
        AND b.budget_key = c.budget_key
        AND b.budget_window = c.budget_window
        AND b.window_start = c.window_start
        AND b.currency = c.currency
WHERE b.held_cents <> coalesce(c.held, 0) OR b.captured_cents <> coalesce(c.captured, 0)
ORDER BY b.tenant_id, b.window_start, b.budget_key
LIMIT 1;

-- name: states
SELECT
    a.tenant_id,
    a.id::text AS place,
    concat('a hold that goes with ', a.status) AS expected,
    coalesce(h.status, 'none') AS found
FROM treasury.authorizations AS a
LEFT JOIN treasury.holds AS h ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
WHERE
    (
        CASE a.status
            WHEN 'denied' THEN h.id IS NULL
            WHEN 'pending' THEN h.status = 'placed'
            WHEN 'approved' THEN h.status IN ('placed', 'unknown')
            WHEN 'executed' THEN h.status = 'captured'
            ELSE h.status = a.status
        END
    ) IS NOT TRUE
ORDER BY a.created_at, a.id
LIMIT 1;

-- name: outbox
SELECT
    told.tenant_id,
    told.place,
    'no such event in the outbox' AS found,
    array_to_string(told.event_types, ' or ') AS expected
FROM (
    SELECT
        tenant_id,
        id::text AS place,
        ARRAY['treasury.intent_created'] AS event_types,
        'intent_id' AS member,
        workflow_id,
        created_at AS at
    FROM treasury.intents
    UNION ALL
    SELECT
        x.tenant_id,
        x.id::text,
        ARRAY['treasury.executed'],
        'execution_id',
        x.workflow_id,
        x.executed_at
    FROM treasury.executions AS x
    UNION ALL
    SELECT
        a.tenant_id,
        a.id::text,
        ARRAY['treasury.' || a.status],
        'authorization_id',
        a.workflow_id,
        a.created_at
    FROM treasury.authorizations AS a
    WHERE a.status IN ('denied', 'expired', 'voided', 'pending')
    UNION ALL
    -- What was approved, by policy at once or by a person later; what ended had been one or the other.
    SELECT
        a.tenant_id,
        a.id::text,
        CASE
            WHEN a.status IN ('approved', 'executed') THEN ARRAY['treasury.authorized']
            ELSE ARRAY['treasury.authorized', 'treasury.pending']
        END,
        'authorization_id',
        a.workflow_id,
        a.created_at
    FROM treasury.authorizations AS a
    WHERE a.status IN ('approved', 'executed', 'expired', 'voided')
    UNION ALL
    SELECT
        h.tenant_id,
        h.id::text,
        ARRAY['treasury.hold_unknown'],
        'hold_id',
        h.workflow_id,
        h.placed_at
    FROM treasury.holds AS h
    WHERE h.status = 'unknown'
) AS told
LEFT JOIN treasury.outbox AS o
    ON
        told.tenant_id = o.tenant_id
        AND told.workflow_id = o.workflow_id
        AND o.event ->> 'event_type' = any(told.event_types)
        AND told.place = o.event -> 'payload' ->> told.member
WHERE o.event_id IS NULL
ORDER BY told.at, told.place
LIMIT 1;
