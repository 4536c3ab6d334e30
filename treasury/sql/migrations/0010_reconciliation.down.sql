-- What was posted other than for payments must be gone first: entries are never lost by a step back.

DROP TRIGGER compensates ON treasury.journal_entries;

DROP FUNCTION treasury.check_compensation;

CREATE OR REPLACE FUNCTION treasury.check_entries() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken uuid;
BEGIN
    SELECT e.id INTO broken
    FROM posted AS e
    LEFT JOIN LATERAL (
        SELECT TRUE AS there FROM treasury.postings AS p
        WHERE p.tenant_id = e.tenant_id AND p.journal_entry_id = e.id
        LIMIT 1
    ) AS posting ON TRUE
    LEFT JOIN LATERAL (
        SELECT TRUE AS there FROM treasury.executions AS x
        WHERE x.tenant_id = e.tenant_id AND x.journal_entry_id = e.id
        LIMIT 1
    ) AS execution ON TRUE
    WHERE posting.there IS NULL OR execution.there IS NULL
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'entry % is not whole: it has no postings, or no execution behind it', broken
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

DROP TABLE
treasury.break_entries,
treasury.breaks,
treasury.matched_executions,
treasury.statement_lines,
treasury.reconciliations;

DELETE FROM treasury.transitions
WHERE noun = 'break';

ALTER TABLE treasury.warrants DROP CONSTRAINT warrants_act_check;

ALTER TABLE treasury.warrants
ADD CONSTRAINT warrants_act_check CHECK (act IN ('authorize', 'execute', 'void'));

ALTER TABLE treasury.journal_entries
ADD CONSTRAINT payments_alone CHECK (kind = 'payment');

ALTER TABLE treasury.journal_entries
DROP COLUMN kind,
DROP COLUMN reverses_id;
