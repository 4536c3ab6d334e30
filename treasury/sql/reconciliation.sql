-- What reconciliation asks of PostgreSQL. Every statement names the tenant.

-- name: one_at_a_time
SELECT pg_advisory_xact_lock(hashtextextended('reconciliation of ' || $1::text, 0));

-- name: known_statement
SELECT id
FROM treasury.reconciliations
WHERE tenant_id = $1 AND provider = $2 AND statement_sha256 = $3;

-- name: earlier_identities
SELECT DISTINCT identity
FROM treasury.statement_lines
WHERE tenant_id = $1 AND provider = $2 AND identity = any($3::text[]);

-- name: booked
-- What the references name ($2 those that are UUIDs, $3 all), and what a statement of provider $4 from $5
-- to $6 should list. Executions that were matched or reversed are left out.
WITH named AS (
    SELECT h.id FROM treasury.holds AS h
    WHERE h.tenant_id = $1 AND (h.id = any($2::uuid[]) OR h.authorization_id = any($2::uuid[]))
    UNION
    SELECT h.id
    FROM treasury.authorizations AS a
    INNER JOIN treasury.holds AS h ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
    WHERE a.tenant_id = $1 AND (a.intent_id = any($2::uuid[]) OR a.decision_id = any($3::text[]))
    UNION
    SELECT x.hold_id FROM treasury.executions AS x
    WHERE x.tenant_id = $1 AND (x.id = any($2::uuid[]) OR x.journal_entry_id = any($2::uuid[]))
),

free AS (
    SELECT
        x.*,
        m.execution_id IS NOT NULL AS was_matched
    FROM treasury.executions AS x
    LEFT JOIN treasury.matched_executions AS m ON x.tenant_id = m.tenant_id AND x.id = m.execution_id
    WHERE
        x.tenant_id = $1
        AND NOT EXISTS (
            SELECT 1 FROM treasury.journal_entries AS r
            WHERE r.tenant_id = x.tenant_id AND r.reverses_id = x.journal_entry_id
        )
),

expected AS (
    SELECT DISTINCT f.hold_id AS id
    FROM free AS f
    INNER JOIN treasury.authorizations AS a ON f.tenant_id = a.tenant_id AND f.authorization_id = a.id
    INNER JOIN treasury.intents AS i ON a.tenant_id = i.tenant_id AND a.intent_id = i.id
    WHERE
        NOT f.was_matched
        AND (
            i.payee = $4 OR f.recipient_account = $4
            OR starts_with(f.recipient_account, $4 || ':') OR starts_with(f.recipient_account, $4 || '/')
        )
        AND ($5::timestamptz IS NULL OR f.executed_at >= $5) AND f.executed_at <= $6::timestamptz
        AND NOT EXISTS (
            SELECT 1 FROM treasury.breaks AS b
            WHERE b.tenant_id = f.tenant_id AND b.hold_id = f.hold_id AND f.id = any(b.execution_ids)
        )
    UNION
    SELECT h.id
    FROM treasury.holds AS h
    INNER JOIN treasury.authorizations AS a ON h.tenant_id = a.tenant_id AND h.authorization_id = a.id
    INNER JOIN treasury.intents AS i ON a.tenant_id = i.tenant_id AND a.intent_id = i.id
    WHERE
        h.tenant_id = $1 AND h.status = 'unknown' AND i.payee = $4
        AND ($5::timestamptz IS NULL OR h.placed_at >= $5) AND h.placed_at <= $6::timestamptz
        AND NOT EXISTS (
            SELECT 1 FROM treasury.breaks AS b
            WHERE b.tenant_id = h.tenant_id AND b.hold_id = h.id AND b.status = 'open'
        )
)

SELECT
    h.id AS hold_id,
    h.workflow_id,
    h.authorization_id,
    a.intent_id,
    a.decision_id,
    h.currency,
    h.status,
    h.amount_cents - h.captured_cents AS left_cents,
    h.id IN (SELECT e.id FROM expected AS e) AS expected,
    coalesce(array_agg(f.id ORDER BY f.executed_at, f.id) FILTER (WHERE f.id IS NOT NULL), '{}') AS ids,
    coalesce(
        array_agg(f.journal_entry_id ORDER BY f.executed_at, f.id) FILTER (WHERE f.id IS NOT NULL), '{}'
    ) AS entry_ids,
    coalesce(
        array_agg(f.amount_cents::bigint ORDER BY f.executed_at, f.id) FILTER (WHERE f.id IS NOT NULL), '{}'
    ) AS amounts_cents,
    coalesce(
        array_agg(f.was_matched ORDER BY f.executed_at, f.id) FILTER (WHERE f.id IS NOT NULL), '{}'
    ) AS matched
FROM treasury.holds AS h
INNER JOIN treasury.authorizations AS a ON h.tenant_id = a.tenant_id AND h.authorization_id = a.id
LEFT JOIN free AS f ON h.tenant_id = f.tenant_id AND h.id = f.hold_id
WHERE
    h.tenant_id = $1
    AND h.id IN (
        SELECT n.id FROM named AS n
        UNION
        SELECT e.id FROM expected AS e
    )
GROUP BY h.tenant_id, h.id, a.tenant_id, a.id
ORDER BY h.placed_at, h.id;

-- name: insert_reconciliation
INSERT INTO treasury.reconciliations (
    tenant_id, id, provider, statement_sha256, matched, settled, repeated, operator
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: insert_lines
INSERT INTO treasury.statement_lines (
    tenant_id, reconciliation_id, provider, number, identity, reference, amount_cents, currency, stated_at
)
SELECT
    $1,
    $2,
    $3,
    line.*
FROM unnest($4::integer[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::timestamptz[]) AS line;

-- name: insert_matches
INSERT INTO treasury.matched_executions (tenant_id, reconciliation_id, execution_id, line_number)
SELECT
    $1,
    $2,
    pair.*
FROM unnest($3::uuid[], $4::integer[]) AS pair;

-- name: insert_break
INSERT INTO treasury.breaks (
    tenant_id, id, reconciliation_id, kind, line_number, reference, amount_cents, currency, ledger_cents,
    hold_id, execution_ids, status
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'open');

-- name: reconciliation
SELECT *
FROM treasury.reconciliations
WHERE tenant_id = $1 AND id = $2;

-- name: list_reconciliations
SELECT *
FROM treasury.reconciliations
WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC
LIMIT $3;

-- name: breaks_of
SELECT *
FROM treasury.breaks
WHERE tenant_id = $1 AND reconciliation_id = $2
ORDER BY id;

-- name: lock_break
SELECT
    b.*,
    r.provider
FROM treasury.breaks AS b
INNER JOIN treasury.reconciliations AS r ON b.tenant_id = r.tenant_id AND b.reconciliation_id = r.id
WHERE b.tenant_id = $1 AND b.reconciliation_id = $2 AND b.id = $3
FOR NO KEY UPDATE OF b;

-- name: resolve_break
UPDATE treasury.breaks
SET status = 'resolved', action = $3, note = $4, resolved_by = $5, resolved_at = $6
WHERE tenant_id = $1 AND id = $2;

-- name: entries_of_executions
SELECT
    e.*,
    x.recipient_account
FROM treasury.executions AS x
INNER JOIN treasury.journal_entries AS e ON x.tenant_id = e.tenant_id AND x.journal_entry_id = e.id
WHERE x.tenant_id = $1 AND x.id = any($2::uuid[])
ORDER BY e.id;

-- name: insert_operators_word
-- An operator's permission to post an adjustment, written where a gateway's would be.
WITH intent AS (
    INSERT INTO treasury.intents (
        tenant_id, id, workflow_id, amount_cents, currency, purpose, payee, principal, status
    )
    VALUES ($1, $2, $3, $4, $5, 'reconciliation', $6, $7, 'authorized')
),

warrant AS (
    INSERT INTO treasury.warrants (tenant_id, id, gateway, act, intent_id, decision_id, expires_at)
    VALUES ($1, $8, $9, 'adjust', $2, $10, $11)
)

INSERT INTO treasury.authorizations (
    tenant_id, id, intent_id, workflow_id, warrant_id, principal, role, status, reasons, ceiling_cents,
    currency, decision_id, policy_version, policy_revision
)
VALUES ($1, $12, $2, $3, $8, $7, 'operator', 'approved', '[]', $4, $5, $10, '', '');

-- name: post_compensation
-- A reversal or an adjustment, whole: entry, postings, and the break that they resolve.
WITH entry AS (
    INSERT INTO treasury.journal_entries (
        tenant_id, id, workflow_id, authorization_id, amount_cents, currency, kind, reverses_id
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
),

resolved AS (
    INSERT INTO treasury.break_entries (tenant_id, journal_entry_id, break_id, amount_cents)
    VALUES ($1, $2, $9, $5)
)

INSERT INTO treasury.postings (
    tenant_id, id, journal_entry_id, workflow_id, authorization_id, account, direction, amount_cents, currency
)
VALUES
($1, $10, $2, $3, $4, $11, 'debit', $5, $6),
($1, $12, $2, $3, $4, $13, 'credit', $5, $6);
