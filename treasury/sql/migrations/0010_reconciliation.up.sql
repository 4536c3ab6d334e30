-- Statements of providers, what they were matched to, the breaks, and the entries that resolve them.

-- Why an entry was posted. A payment has executions behind it; a reversal names the entry that it takes
-- back; an adjustment resolves a break; a top-up credits what a provider received.
ALTER TABLE treasury.journal_entries
ADD COLUMN kind text NOT NULL DEFAULT 'payment'
CONSTRAINT entry_kind CHECK (kind IN ('payment', 'reversal', 'adjustment', 'top_up')),
ADD COLUMN reverses_id uuid,
ADD CONSTRAINT reversal_names_its_entry CHECK ((kind = 'reversal') = (reverses_id IS NOT NULL)),
ADD CONSTRAINT reverses FOREIGN KEY (tenant_id, reverses_id, workflow_id, authorization_id, currency)
REFERENCES treasury.journal_entries (tenant_id, id, workflow_id, authorization_id, currency);

CREATE UNIQUE INDEX one_reversal ON treasury.journal_entries (tenant_id, reverses_id)
WHERE reverses_id IS NOT NULL;

-- An operator's word, like a gateway's, is good once.
ALTER TABLE treasury.warrants DROP CONSTRAINT warrants_act_check;

ALTER TABLE treasury.warrants
ADD CONSTRAINT warrants_act_check CHECK (act IN ('authorize', 'execute', 'void', 'adjust', 'top_up'));

CREATE TABLE treasury.reconciliations (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    provider text NOT NULL CHECK (provider <> ''),
    statement_sha256 text NOT NULL,
    matched integer NOT NULL CHECK (matched >= 0),
    settled integer NOT NULL CHECK (settled >= 0),
    repeated integer NOT NULL CHECK (repeated >= 0),
    operator text NOT NULL CHECK (operator <> ''),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, provider, statement_sha256),
    FOREIGN KEY (tenant_id, id) REFERENCES treasury.workflows (tenant_id, id)
);

CREATE TABLE treasury.statement_lines (
    tenant_id text NOT NULL,
    reconciliation_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    provider text NOT NULL,
    identity text NOT NULL,
    reference text NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    currency treasury.currency NOT NULL,
    stated_at timestamptz,
    PRIMARY KEY (tenant_id, reconciliation_id, number),
    FOREIGN KEY (tenant_id, reconciliation_id) REFERENCES treasury.reconciliations (tenant_id, id)
);

CREATE INDEX statement_lines_by_identity ON treasury.statement_lines (tenant_id, provider, identity);

-- An execution is matched once.
CREATE TABLE treasury.matched_executions (
    tenant_id text NOT NULL,
    execution_id uuid NOT NULL,
    reconciliation_id uuid NOT NULL,
    line_number integer NOT NULL,
    PRIMARY KEY (tenant_id, execution_id),
    FOREIGN KEY (tenant_id, execution_id) REFERENCES treasury.executions (tenant_id, id),
    FOREIGN KEY (tenant_id, reconciliation_id, line_number)
    REFERENCES treasury.statement_lines (tenant_id, reconciliation_id, number)
);

CREATE TABLE treasury.breaks (
    tenant_id text NOT NULL,
    id uuid NOT NULL,
    reconciliation_id uuid NOT NULL,
    kind text NOT NULL CHECK (
        kind IN (
            'missing_in_ledger',
            'missing_in_statement',
            'amount_differs',
            'currency_differs',
            'duplicate_line'
        )
    ),
    line_number integer,
    reference text NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    currency treasury.currency NOT NULL,
    ledger_cents bigint,
    hold_id uuid,
    execution_ids uuid[] NOT NULL,
    status text NOT NULL,
    action text CHECK (action IN ('accept', 'reverse', 'correct', 'post', 'capture', 'void')),
    note text,
    resolved_by text,
    resolved_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, reconciliation_id) REFERENCES treasury.reconciliations (tenant_id, id),
    FOREIGN KEY (tenant_id, hold_id) REFERENCES treasury.holds (tenant_id, id),
    CHECK ((status = 'resolved') = (action IS NOT NULL)),
    CHECK ((status = 'resolved') = (resolved_by IS NOT NULL AND resolved_at IS NOT NULL))
);

CREATE INDEX breaks_of_reconciliation ON treasury.breaks (tenant_id, reconciliation_id, id);

CREATE INDEX breaks_of_hold ON treasury.breaks (tenant_id, hold_id);

-- The entries that resolved a break.
CREATE TABLE treasury.break_entries (
    tenant_id text NOT NULL,
    journal_entry_id uuid NOT NULL,
    break_id uuid NOT NULL,
    amount_cents treasury.amount_cents NOT NULL,
    PRIMARY KEY (tenant_id, journal_entry_id),
    FOREIGN KEY (tenant_id, journal_entry_id) REFERENCES treasury.journal_entries (tenant_id, id),
    FOREIGN KEY (tenant_id, break_id) REFERENCES treasury.breaks (tenant_id, id)
);

CREATE INDEX entries_of_break ON treasury.break_entries (tenant_id, break_id);

INSERT INTO treasury.transitions (noun, from_status, to_status) VALUES
('break', '', 'open'),
('break', 'open', 'resolved');

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.breaks
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('break');

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.reconciliations
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.statement_lines
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.matched_executions
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.break_entries
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

-- An entry has postings, and a payment an execution. They come with it, so the checks of these look at them.
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
    WHERE posting.there IS NULL OR (execution.there IS NOT NULL) <> (e.kind = 'payment')
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'entry % is not whole: it has no postings, or no execution behind it', broken
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

-- At commit a reversal and an adjustment resolve a break, and a reversal is its entry the other way round.
CREATE FUNCTION treasury.check_compensation() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM treasury.break_entries AS b
        WHERE b.tenant_id = new.tenant_id AND b.journal_entry_id = new.id AND b.amount_cents = new.amount_cents
    ) THEN
        RAISE EXCEPTION 'entry % resolves no break', new.id USING ERRCODE = 'TL001';
    END IF;
    IF new.kind = 'reversal' AND EXISTS (
        (
            SELECT p.account, p.direction, p.amount_cents FROM treasury.postings AS p
            WHERE p.tenant_id = new.tenant_id AND p.journal_entry_id = new.id
        )
        EXCEPT ALL
        (
            SELECT p.account, CASE p.direction WHEN 'debit' THEN 'credit' ELSE 'debit' END, p.amount_cents
            FROM treasury.postings AS p
            WHERE p.tenant_id = new.tenant_id AND p.journal_entry_id = new.reverses_id
        )
    ) THEN
        RAISE EXCEPTION 'entry % is not the reversal of %', new.id, new.reverses_id USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER compensates AFTER INSERT ON treasury.journal_entries
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (new.kind IN ('reversal', 'adjustment'))
EXECUTE FUNCTION treasury.check_compensation();

REVOKE ALL ON FUNCTION treasury.check_compensation() FROM public;

GRANT SELECT, INSERT ON
treasury.reconciliations,
treasury.statement_lines,
treasury.matched_executions,
treasury.breaks,
treasury.break_entries
TO tollhouse_treasury;

GRANT UPDATE (status, action, note, resolved_by, resolved_at) ON treasury.breaks TO tollhouse_treasury;
