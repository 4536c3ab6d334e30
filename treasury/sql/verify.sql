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
WHERE
    x.amount_cents IS DISTINCT FROM CASE WHEN e.kind = 'payment' THEN e.amount_cents END
    OR x.currency <> e.currency
ORDER BY e.posted_at, e.id
LIMIT 1;

-- name: compensations
SELECT
    e.tenant_id,
    e.id::text AS place,
    concat('a ', e.kind, ' that resolves a break') AS expected,
    CASE WHEN b.break_id IS NULL THEN 'none' ELSE 'other postings than its entry turned round' END AS found
FROM treasury.journal_entries AS e
LEFT JOIN treasury.break_entries AS b
    ON e.tenant_id = b.tenant_id AND e.id = b.journal_entry_id AND e.amount_cents = b.amount_cents
WHERE
    e.kind IN ('reversal', 'adjustment')
    AND (
        b.break_id IS NULL
        OR EXISTS (
            SELECT 1
            FROM treasury.postings AS p
            LEFT JOIN treasury.postings AS o
                ON
                    p.tenant_id = o.tenant_id
                    AND o.journal_entry_id = e.reverses_id
                    AND p.account = o.account
                    AND p.direction <> o.direction
                    AND p.amount_cents = o.amount_cents
            WHERE
                p.tenant_id = e.tenant_id AND p.journal_entry_id = e.id
                AND e.kind = 'reversal' AND o.id IS NULL
        )
    )
ORDER BY e.posted_at, e.id
LIMIT 1;

-- name: matches
SELECT
    l.tenant_id,
    concat(l.reconciliation_id, ' line ', l.number) AS place,
    concat(l.amount_cents, ' ', l.currency) AS expected,
    concat(sum(x.amount_cents), ' ', min(x.currency::text)) AS found
FROM treasury.statement_lines AS l
INNER JOIN treasury.matched_executions AS m
    ON l.tenant_id = m.tenant_id AND l.reconciliation_id = m.reconciliation_id AND l.number = m.line_number
LEFT JOIN treasury.executions AS x ON m.tenant_id = x.tenant_id AND m.execution_id = x.id
GROUP BY l.tenant_id, l.reconciliation_id, l.number
HAVING sum(x.amount_cents) IS DISTINCT FROM l.amount_cents::numeric OR min(x.currency::text) <> l.currency
ORDER BY l.reconciliation_id, l.number
LIMIT 1;

-- name: top_ups
WITH credited AS (
    SELECT
        e.tenant_id,
        e.id,
        e.amount_cents,
        e.currency
    FROM treasury.journal_entries AS e
    WHERE e.kind = 'top_up'
)

SELECT
    found.tenant_id,
    found.place,
    found.expected,
    found.found
FROM (
    SELECT
        coalesce(c.tenant_id, t.tenant_id) AS tenant_id,
        coalesce('top-up ' || t.id, 'entry ' || c.id) AS place,
        coalesce(c.amount_cents || ' ' || c.currency, 'an entry') AS expected,
        coalesce(t.amount_cents || ' ' || t.currency, 'no top-up') AS found
    FROM credited AS c
    FULL JOIN treasury.top_ups AS t ON c.tenant_id = t.tenant_id AND c.id = t.journal_entry_id
    WHERE c.amount_cents IS DISTINCT FROM t.amount_cents OR c.currency <> t.currency
    UNION ALL
    SELECT
        b.tenant_id,
        concat_ws(' ', b.budget_key, b.budget_window, b.window_start, b.currency),
        concat(coalesce(sum(t.amount_cents), 0), ' topped up'),
        concat(b.topped_up_cents, ' topped up')
    FROM treasury.budgets AS b
    LEFT JOIN treasury.top_ups AS t
        ON
            b.tenant_id = t.tenant_id
            AND b.budget_key = t.budget_key
            AND b.budget_window = t.budget_window
            AND b.window_start = t.window_start
            AND b.currency = t.currency
    GROUP BY b.tenant_id, b.budget_key, b.budget_window, b.window_start, b.currency
    HAVING b.topped_up_cents <> coalesce(sum(t.amount_cents), 0)
) AS found
ORDER BY found.tenant_id, found.place
LIMIT 1;

-- name: levels
SELECT
    b.tenant_id,
    b.level AS found,
    right_one.level AS expected,
    concat_ws(' ', b.budget_key, b.budget_window, b.window_start, b.currency) AS place
FROM treasury.budgets AS b
CROSS JOIN
    LATERAL (
        SELECT
            CASE
                WHEN b.topped_up_cents = 0 THEN 'ample'
                WHEN b.limit_cents::numeric + b.topped_up_cents - b.captured_cents <= 0 THEN 'depleted'
                WHEN b.limit_cents::numeric + b.topped_up_cents - b.captured_cents < b.low_cents THEN 'low'
                ELSE 'ample'
            END AS level
    ) AS right_one
WHERE b.level <> right_one.level
ORDER BY b.tenant_id, b.window_start, b.budget_key
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
    concat(i.amount_cents, ' ', i.currency, ' held, ', coalesce(x.executed, 0), ' captured') AS expected,
    concat(h.amount_cents, ' ', h.currency, ' held, ', h.captured_cents, ' captured') AS found
FROM treasury.holds AS h
INNER JOIN treasury.authorizations AS a ON h.tenant_id = a.tenant_id AND h.authorization_id = a.id
INNER JOIN treasury.intents AS i ON a.tenant_id = i.tenant_id AND a.intent_id = i.id
LEFT JOIN (
    SELECT
        tenant_id,
        hold_id,
        sum(amount_cents) AS executed
    FROM treasury.executions
    GROUP BY tenant_id, hold_id
) AS x ON h.tenant_id = x.tenant_id AND h.id = x.hold_id
WHERE
    h.captured_cents <> coalesce(x.executed, 0)
    OR h.amount_cents <> i.amount_cents
    OR h.currency <> i.currency
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
INNER JOIN treasury.warrants AS w ON a.tenant_id = w.tenant_id AND a.warrant_id = w.id
LEFT JOIN treasury.holds AS h ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
WHERE
    w.act = 'authorize'
    AND (
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

-- name: intents
SELECT
    i.tenant_id,
    i.id::text AS place,
    i.status AS found,
    coalesce(
        CASE latest.status WHEN 'approved' THEN 'authorized' ELSE latest.status END, 'intent_created'
    ) AS expected
FROM treasury.intents AS i
LEFT JOIN (
    SELECT DISTINCT ON (a.tenant_id, a.intent_id)
        a.tenant_id,
        a.intent_id,
        a.status
    FROM treasury.authorizations AS a
    ORDER BY a.tenant_id ASC, a.intent_id ASC, a.created_at DESC, a.id DESC
) AS latest ON i.tenant_id = latest.tenant_id AND i.id = latest.intent_id
WHERE
    i.status <> coalesce(
        CASE latest.status WHEN 'approved' THEN 'authorized' ELSE latest.status END, 'intent_created'
    )
ORDER BY i.created_at, i.id
LIMIT 1;

-- name: idempotency
-- An answer that was kept names what it did: an intent, an authorization, an execution, or a hold.
SELECT
    k.tenant_id,
    concat('key ', k.key) AS place,
    CASE
        WHEN k.status IS NULL THEN 'an answer'
        WHEN k.answer ? 'journal_entry_id' THEN coalesce(x.amount_cents::text || ' executed', 'an execution')
        WHEN k.answer ? 'authorization_id' THEN 'an authorization of its intent'
        WHEN k.answer ? 'hold_id' THEN 'a hold'
        ELSE 'an intent'
    END AS expected,
    CASE
        WHEN k.status IS NULL THEN 'none'
        ELSE concat('the answer ', left(k.answer::text, 200))
    END AS found
FROM treasury.idempotency AS k
LEFT JOIN treasury.executions AS x ON k.tenant_id = x.tenant_id AND k.answer ->> 'id' = x.id::text
LEFT JOIN treasury.authorizations AS a
    ON k.tenant_id = a.tenant_id AND k.answer ->> 'authorization_id' = a.id::text
LEFT JOIN treasury.holds AS h ON k.tenant_id = h.tenant_id AND k.answer ->> 'hold_id' = h.id::text
LEFT JOIN treasury.intents AS i ON k.tenant_id = i.tenant_id AND k.answer ->> 'id' = i.id::text
WHERE
    k.status IS NULL OR k.answer IS NULL
    OR (
        k.status < 300
        AND CASE
            WHEN k.answer ? 'journal_entry_id'
                THEN
                    x.id IS NULL
                    OR k.answer ->> 'journal_entry_id' <> x.journal_entry_id::text
                    OR k.answer ->> 'amount_cents' <> x.amount_cents::text
                    OR k.answer ->> 'recipient_account' <> x.recipient_account
            WHEN k.answer ? 'authorization_id'
                THEN a.id IS NULL OR k.answer ->> 'intent_id' <> a.intent_id::text
            WHEN k.answer ? 'hold_id' AND k.answer ? 'status' AND NOT k.answer ? 'kind' THEN h.id IS NULL
            WHEN k.answer ? 'purpose'
                THEN i.id IS NULL OR k.answer ->> 'amount_cents' <> i.amount_cents::text
            ELSE FALSE
        END
    )
ORDER BY k.created_at, k.key
LIMIT 1;

-- name: outbox_itself
SELECT
    o.tenant_id,
    concat('event ', o.event_id) AS place,
    CASE
        WHEN o.event ->> 'event_type' = 'treasury.executed'
            THEN coalesce(x.amount_cents::text || ' executed', 'an execution')
        ELSE concat_ws(' ', o.event_id, o.tenant_id, o.workflow_id)
    END AS expected,
    CASE
        WHEN o.event ->> 'event_type' = 'treasury.executed'
            THEN concat('the event tells of ', o.event #>> '{payload,amount_cents}')
        ELSE concat_ws(' ', o.event ->> 'event_id', o.event ->> 'tenant', o.event ->> 'workflow_id')
    END AS found
FROM treasury.outbox AS o
LEFT JOIN treasury.executions AS x
    ON o.tenant_id = x.tenant_id AND o.event #>> '{payload,execution_id}' = x.id::text
WHERE
    o.event ->> 'event_id' IS DISTINCT FROM o.event_id::text
    OR o.event ->> 'tenant' IS DISTINCT FROM o.tenant_id
    OR o.event ->> 'workflow_id' IS DISTINCT FROM o.workflow_id::text
    OR (
        o.event ->> 'event_type' = 'treasury.executed'
        AND o.event #>> '{payload,amount_cents}' IS DISTINCT FROM x.amount_cents::text
    )
ORDER BY o.recorded_at, o.ordinal, o.event_id
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
    FROM treasury.intents AS i
    WHERE
        NOT EXISTS (
            SELECT 1 FROM treasury.warrants AS w
            WHERE w.tenant_id = i.tenant_id AND w.intent_id = i.id AND w.act IN ('adjust', 'top_up')
        )
    UNION ALL
    SELECT
        tenant_id,
        id::text,
        ARRAY['treasury.reconciled'],
        'reconciliation_id',
        id,
        created_at
    FROM treasury.reconciliations
    UNION ALL
    SELECT
        b.tenant_id,
        b.id::text,
        ARRAY['treasury.break_resolved'],
        'break_id',
        b.reconciliation_id,
        b.resolved_at
    FROM treasury.breaks AS b
    WHERE b.status = 'resolved'
    UNION ALL
    SELECT
        t.tenant_id,
        t.id::text,
        ARRAY['treasury.topped_up'],
        'top_up_id',
        e.workflow_id,
        t.received_at
    FROM treasury.top_ups AS t
    INNER JOIN treasury.journal_entries AS e
        ON t.tenant_id = e.tenant_id AND t.journal_entry_id = e.id
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
    INNER JOIN treasury.warrants AS w ON a.tenant_id = w.tenant_id AND a.warrant_id = w.id
    WHERE w.act = 'authorize' AND a.status IN ('approved', 'executed', 'expired', 'voided')
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
