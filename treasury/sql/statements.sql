-- What files of statements are made of.

-- name: workflow_balance_rows
-- $2 None takes all tenants, $3 None all principals.
WITH moved AS (
    SELECT
        p.tenant_id,
        p.currency,
        sum(p.amount_cents) FILTER (WHERE p.direction = 'debit') AS debits_cents,
        sum(p.amount_cents) FILTER (WHERE p.direction = 'credit') AS credits_cents
    FROM treasury.postings AS p
    WHERE
        p.workflow_id = $1
        AND ($2::text IS NULL OR p.tenant_id = $2)
        AND (
            $3::text IS NULL
            OR EXISTS (
                SELECT FROM treasury.holds AS h
                WHERE
                    h.tenant_id = p.tenant_id AND h.authorization_id = p.authorization_id AND h.principal = $3
            )
        )
    GROUP BY p.tenant_id, p.currency
),

held AS (
    SELECT
        h.tenant_id,
        h.currency,
        sum(h.captured_cents) AS captured_cents,
        coalesce(
            sum(h.amount_cents - h.captured_cents) FILTER (WHERE h.status IN ('placed', 'unknown')), 0
        ) AS held_cents
    FROM treasury.holds AS h
    WHERE
        h.workflow_id = $1
        AND ($2::text IS NULL OR h.tenant_id = $2)
        AND ($3::text IS NULL OR h.principal = $3)
    GROUP BY h.tenant_id, h.currency
)

SELECT
    coalesce(m.tenant_id, h.tenant_id) AS tenant_id,
    coalesce(m.currency, h.currency) AS currency,
    coalesce(m.debits_cents, 0) AS debits_cents,
    coalesce(m.credits_cents, 0) AS credits_cents,
    coalesce(h.held_cents, 0) AS held_cents,
    coalesce(h.captured_cents, 0) AS captured_cents
FROM moved AS m
FULL JOIN held AS h ON m.tenant_id = h.tenant_id AND m.currency = h.currency
ORDER BY tenant_id, currency;

-- name: holds_rows
-- $1 None takes all tenants. In the order in which they were placed.
SELECT
    h.*,
    a.intent_id
FROM treasury.holds AS h
INNER JOIN treasury.authorizations AS a ON h.tenant_id = a.tenant_id AND h.authorization_id = a.id
WHERE
    ($1::text IS NULL OR h.tenant_id = $1)
    AND h.status = $2
ORDER BY h.id, h.tenant_id
LIMIT $3;
