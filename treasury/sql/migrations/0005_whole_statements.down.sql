-- Back to one check a row.

DROP TRIGGER born ON treasury.intents;
DROP TRIGGER born ON treasury.authorizations;
DROP TRIGGER born ON treasury.holds;
DROP TRIGGER transition ON treasury.intents;
DROP TRIGGER transition ON treasury.authorizations;
DROP TRIGGER transition ON treasury.holds;
DROP TRIGGER whole ON treasury.journal_entries;
DROP TRIGGER balanced ON treasury.postings;
DROP TRIGGER whole ON treasury.executions;
DROP TRIGGER captured ON treasury.holds;
DROP TRIGGER never_deleted ON treasury.holds;
DROP TRIGGER nothing_captured ON treasury.holds;
DROP TRIGGER born_within_limit ON treasury.budgets;
DROP TRIGGER within_limit ON treasury.budgets;
DROP FUNCTION treasury.check_births();
DROP FUNCTION treasury.check_steps();
DROP FUNCTION treasury.check_entries();
DROP FUNCTION treasury.check_postings();
DROP FUNCTION treasury.check_executions();
DROP FUNCTION treasury.check_captures();
DROP FUNCTION treasury.refuse_captured_hold();
DROP FUNCTION treasury.refuse_rise();

DELETE FROM treasury.transitions
WHERE noun = 'intent' AND from_status = '' AND to_status IN ('pending', 'authorized', 'denied');

ALTER TABLE treasury.executions
ADD FOREIGN KEY (tenant_id, hold_id, authorization_id, workflow_id, currency)
REFERENCES treasury.holds (tenant_id, id, authorization_id, workflow_id, currency),
ADD FOREIGN KEY (tenant_id, journal_entry_id, workflow_id, authorization_id, currency)
REFERENCES treasury.journal_entries (tenant_id, id, workflow_id, authorization_id, currency);

ALTER TABLE treasury.outbox ADD FOREIGN KEY (tenant_id, workflow_id)
REFERENCES treasury.workflows (tenant_id, id);

CREATE INDEX intents_of_workflow ON treasury.intents (tenant_id, workflow_id);

CREATE INDEX holds_by_status ON treasury.holds (tenant_id, status, id);

CREATE INDEX charges_of_budget
ON treasury.hold_charges (tenant_id, budget_key, budget_window, window_start, currency);

CREATE FUNCTION treasury.check_entry(tenant text, entry uuid) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    sums record;
BEGIN
    SELECT
        e.amount_cents,
        (
            SELECT coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'debit'), 0)
            FROM treasury.postings AS p
            WHERE p.tenant_id = e.tenant_id AND p.journal_entry_id = e.id
        ) AS debits,
        (
            SELECT coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'credit'), 0)
            FROM treasury.postings AS p
            WHERE p.tenant_id = e.tenant_id AND p.journal_entry_id = e.id
        ) AS credits,
        (
            SELECT coalesce(sum(x.amount_cents), 0)
            FROM treasury.executions AS x
            WHERE x.tenant_id = e.tenant_id AND x.journal_entry_id = e.id
        ) AS executed
    INTO STRICT sums
    FROM treasury.journal_entries AS e
    WHERE e.tenant_id = tenant AND e.id = entry;
    IF sums.debits <> sums.amount_cents OR sums.credits <> sums.amount_cents THEN
        RAISE EXCEPTION 'entry % declares % but has debits of % and credits of %',
            entry, sums.amount_cents, sums.debits, sums.credits USING ERRCODE = 'TL001';
    END IF;
    IF sums.executed <> sums.amount_cents THEN
        RAISE EXCEPTION 'entry % has no execution of its amount behind it', entry
            USING ERRCODE = 'TL001';
    END IF;
END
$$;

CREATE FUNCTION treasury.check_new_entry() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM treasury.check_entry(new.tenant_id, new.id);
    RETURN NULL;
END
$$;

CREATE FUNCTION treasury.check_entry_of_posting() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM treasury.check_entry(new.tenant_id, new.journal_entry_id);
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON treasury.journal_entries
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION treasury.check_new_entry();

CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON treasury.postings
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION treasury.check_entry_of_posting();

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.intents
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('intent');

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.authorizations
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('authorization');

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.holds
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('hold');

CREATE FUNCTION treasury.check_execution() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1
        FROM treasury.authorizations AS a
        INNER JOIN treasury.holds AS h ON a.tenant_id = h.tenant_id AND a.id = h.authorization_id
        WHERE
            h.tenant_id = new.tenant_id AND h.id = new.hold_id
            AND a.id = new.authorization_id AND a.status = 'approved'
            AND h.status IN ('placed', 'unknown')
            AND (h.unsettled = 'unknown' OR h.expires_at > clock_timestamp())
    ) THEN
        RAISE EXCEPTION 'no approved authorization with an open hold stands behind execution %', new.id
            USING ERRCODE = 'TL001';
    END IF;
    RETURN new;
END
$$;

CREATE TRIGGER authorized BEFORE INSERT ON treasury.executions
FOR EACH ROW EXECUTE FUNCTION treasury.check_execution();

CREATE FUNCTION treasury.check_capture() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    hold uuid := CASE tg_table_name WHEN 'holds' THEN new.id ELSE (to_jsonb(new) ->> 'hold_id')::uuid END;
    captured bigint;
    executed numeric;
BEGIN
    SELECT h.captured_cents INTO STRICT captured
    FROM treasury.holds AS h
    WHERE h.tenant_id = new.tenant_id AND h.id = hold;
    SELECT coalesce(sum(x.amount_cents), 0) INTO STRICT executed
    FROM treasury.executions AS x
    WHERE x.tenant_id = new.tenant_id AND x.hold_id = hold;
    IF executed <> captured THEN
        RAISE EXCEPTION 'hold % says % captured, its executions say %', hold, captured, executed
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER captured AFTER INSERT ON treasury.executions
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION treasury.check_capture();

CREATE CONSTRAINT TRIGGER captured AFTER INSERT OR UPDATE OF captured_cents ON treasury.holds
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION treasury.check_capture();

CREATE FUNCTION treasury.check_budget() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    before_cents numeric := 0;
    after_cents numeric := new.held_cents::numeric + new.captured_cents;
BEGIN
    IF tg_op = 'UPDATE' THEN
        before_cents := old.held_cents::numeric + old.captured_cents;
    END IF;
    IF after_cents > before_cents AND after_cents > new.limit_cents THEN
        RAISE EXCEPTION 'budget % of % would rise to % of %',
            new.budget_key, new.window_start, after_cents, new.limit_cents USING ERRCODE = 'TL001';
    END IF;
    RETURN new;
END
$$;

CREATE TRIGGER within_limit BEFORE INSERT OR UPDATE ON treasury.budgets
FOR EACH ROW EXECUTE FUNCTION treasury.check_budget();

REVOKE ALL ON FUNCTION
treasury.check_entry(text, uuid),
treasury.check_new_entry(),
treasury.check_entry_of_posting(),
treasury.check_execution(),
treasury.check_capture(),
treasury.check_budget()
FROM public;

GRANT EXECUTE ON FUNCTION treasury.check_entry(text, uuid) TO tollhouse_treasury;
