-- What control has to tell.

-- name: tell
INSERT INTO control.outbox (tenant, event_id, event)
VALUES ($1, $2, $3);

-- name: untold
SELECT event
FROM control.outbox
WHERE published_at IS NULL
ORDER BY position
LIMIT $1;

-- name: mark_told
UPDATE control.outbox AS o
SET published_at = clock_timestamp()
FROM unnest($1::text[], $2::text[]) AS done (tenant, event_id)
WHERE o.tenant = done.tenant AND o.event_id = done.event_id;
