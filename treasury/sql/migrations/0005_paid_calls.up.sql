-- The hold of a paid call is ended by its gateway, which knows what became of the call. No warrant that an
-- agent asked for (execute, void) may be used up in the database transaction that captures or voids it,
-- unless the call waits for a person and was never sent.
CREATE FUNCTION treasury.check_paid_call() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1
        FROM treasury.authorizations AS a
        INNER JOIN treasury.warrants AS w ON a.tenant_id = w.tenant_id AND a.intent_id = w.intent_id
        WHERE
            a.tenant_id = new.tenant_id AND a.id = new.authorization_id AND a.status <> 'pending'
            AND w.act IN ('execute', 'void') AND w.xmin = pg_current_xact_id()::xid
    ) THEN
        RAISE EXCEPTION 'hold % is of a paid call, which its gateway alone settles', new.id
            USING ERRCODE = 'TL001';
    END IF;
    RETURN new;
END
$$;

REVOKE ALL ON FUNCTION treasury.check_paid_call() FROM public;

CREATE TRIGGER settled_by_gateway BEFORE UPDATE ON treasury.holds
FOR EACH ROW WHEN (
    new.unsettled = 'unknown'
    AND (
        new.captured_cents <> old.captured_cents
        OR (new.status <> old.status AND new.status IN ('captured', 'voided'))
    )
)
EXECUTE FUNCTION treasury.check_paid_call();

-- For the trigger; a paid call by itself uses no such warrant.
CREATE INDEX ending_warrants ON treasury.warrants (tenant_id, intent_id) WHERE act IN ('execute', 'void');
