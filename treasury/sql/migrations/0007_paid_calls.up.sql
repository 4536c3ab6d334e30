-- The hold of a paid call is ended by its gateway, which knows what became of the call. No warrant that an
-- agent asked for (execute, void) may be used up in the database transaction that captures or voids it,
-- unless the call waits for a person and was never sent. Commands about one intent never share a transaction,
-- so a warrant of this transaction for the hold's intent is the word that ends it.
CREATE FUNCTION treasury.check_paid_calls() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    broken uuid;
BEGIN
    SELECT n.id INTO broken
    FROM after_step AS n
    INNER JOIN before_step AS o ON n.tenant_id = o.tenant_id AND n.id = o.id
    CROSS JOIN LATERAL (
        SELECT g.intent_id FROM treasury.authorizations AS g
        WHERE g.tenant_id = n.tenant_id AND g.id = n.authorization_id AND g.status <> 'pending'
        LIMIT 1
    ) AS a
    CROSS JOIN LATERAL (
        SELECT w.id FROM treasury.warrants AS w
        WHERE
            w.tenant_id = n.tenant_id AND w.intent_id = a.intent_id AND w.act IN ('execute', 'void')
            AND w.xmin = pg_current_xact_id()::xid
        LIMIT 1
    ) AS word
    WHERE
        o.unsettled = 'unknown'
        AND (
            n.captured_cents <> o.captured_cents
            OR (n.status <> o.status AND n.status IN ('captured', 'voided'))
        )
    LIMIT 1;
    IF found THEN
        RAISE EXCEPTION 'hold % is of a paid call, which its gateway alone settles', broken
            USING ERRCODE = 'TL001';
    END IF;
    RETURN NULL;
END
$$;

REVOKE ALL ON FUNCTION treasury.check_paid_calls() FROM public;

CREATE TRIGGER belongs_to_gateway AFTER UPDATE ON treasury.holds
REFERENCING OLD TABLE AS before_step NEW TABLE AS after_step
FOR EACH STATEMENT EXECUTE FUNCTION treasury.check_paid_calls();

-- For the trigger; a paid call by itself uses no such warrant.
CREATE INDEX ending_warrants ON treasury.warrants (tenant_id, intent_id) WHERE act IN ('execute', 'void');
