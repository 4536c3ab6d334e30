-- What the ledger refuses whoever asks, the service's own role included.
-- SQLSTATE TL001: a rule of the ledger is broken; the message names the rule.

-- Entries are append only: corrections are further entries.
CREATE FUNCTION treasury.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', tg_table_name USING ERRCODE = 'TL001';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.journal_entries
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.postings
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.executions
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON treasury.warrants
FOR EACH STATEMENT EXECUTE FUNCTION treasury.refuse_change();

-- At commit each entry's debits and credits both are the amount that it declared, and exactly one
-- execution of that amount stands behind it. A balanced addition to an old entry breaks the first.
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

-- Balances follow the postings, in the order of the accounts so that nobody waits in a circle.
CREATE FUNCTION treasury.keep_balances() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    INSERT INTO treasury.account_balances AS b
    (tenant_id, account, currency, debits_cents, credits_cents)
    SELECT
        p.tenant_id,
        p.account,
        p.currency,
        coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'debit'), 0),
        coalesce(sum(p.amount_cents) FILTER (WHERE p.direction = 'credit'), 0)
    FROM posted AS p
    GROUP BY p.tenant_id, p.account, p.currency
    ORDER BY p.tenant_id, p.account, p.currency
    ON CONFLICT (tenant_id, account, currency) DO UPDATE SET
    debits_cents = b.debits_cents + excluded.debits_cents,
    credits_cents = b.credits_cents + excluded.credits_cents;
    RETURN NULL;
END
$$;

CREATE TRIGGER balances AFTER INSERT ON treasury.postings
REFERENCING NEW TABLE AS posted
FOR EACH STATEMENT EXECUTE FUNCTION treasury.keep_balances();

-- A state follows another only as treasury.transitions says; the noun is the trigger's argument.
CREATE FUNCTION treasury.check_transition() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    before_status text := '';
BEGIN
    IF tg_op = 'UPDATE' THEN
        IF new.status = old.status THEN
            RETURN new;
        END IF;
        before_status := old.status;
    END IF;
    IF NOT EXISTS (
        SELECT 1 FROM treasury.transitions AS t
        WHERE t.noun = tg_argv[0] AND t.from_status = before_status AND t.to_status = new.status
    ) THEN
        RAISE EXCEPTION '% cannot go from "%" to "%"', tg_argv[0], before_status, new.status
            USING ERRCODE = 'TL001';
    END IF;
    RETURN new;
END
$$;

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.intents
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('intent');

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.authorizations
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('authorization');

CREATE TRIGGER transition BEFORE INSERT OR UPDATE ON treasury.holds
FOR EACH ROW EXECUTE FUNCTION treasury.check_transition('hold');

-- Money moves only for an approved authorization whose hold is open and in time.
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

-- At commit a hold's executions add up to what it says was captured, so never to more than it held.
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

-- A budget may be above a limit that was lowered; it may never rise above its limit.
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
