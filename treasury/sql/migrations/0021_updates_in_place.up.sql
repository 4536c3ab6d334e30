-- A capture changes the status of an intent and of its authorization. Where the page has room and no index
-- knows of the change, the row stays where it is and none of its indexes grows.
ALTER TABLE treasury.intents SET (fillfactor = 60);

ALTER TABLE treasury.authorizations SET (fillfactor = 60);

-- The table is written anew for this, with that room, and locked meanwhile.
ALTER TABLE treasury.authorizations
ADD COLUMN is_live boolean GENERATED ALWAYS AS (status IN ('pending', 'approved', 'executed')) STORED;

DROP INDEX treasury.one_live_authorization;

CREATE UNIQUE INDEX one_live_authorization ON treasury.authorizations (tenant_id, intent_id)
WHERE is_live;
