-- An agent reads what is its own: its holds, what was posted for them, the workflows that it takes part in.
CREATE INDEX holds_of_principal ON treasury.holds (tenant_id, principal, id);

CREATE INDEX postings_of_authorization ON treasury.postings (tenant_id, authorization_id);

CREATE INDEX intents_of_principal ON treasury.intents (tenant_id, principal, workflow_id);
