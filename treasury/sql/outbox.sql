-- How far the relay is behind: what was committed and is not published.

-- name: waiting
SELECT
    count(*) AS events,
    coalesce(max(date_part('epoch', clock_timestamp() - w.recorded_at)), 0) AS oldest_s
FROM (
    SELECT o.recorded_at
    FROM treasury.outbox AS o
    WHERE o.published_at IS NULL
    ORDER BY o.recorded_at, o.ordinal
    LIMIT $1
) AS w;
