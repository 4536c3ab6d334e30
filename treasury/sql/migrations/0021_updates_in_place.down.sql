DROP INDEX treasury.one_live_authorization;

CREATE UNIQUE INDEX one_live_authorization ON treasury.authorizations (tenant_id, intent_id)
WHERE status IN ('pending', 'approved', 'executed');

ALTER TABLE treasury.authorizations RESET (fillfactor);

ALTER TABLE treasury.authorizations DROP COLUMN is_live;

ALTER TABLE treasury.intents RESET (fillfactor);
