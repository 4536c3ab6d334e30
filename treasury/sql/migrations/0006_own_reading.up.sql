-- An agent reads what is its own: its holds, and what was posted for them.
CREATE INDEX holds_of_principal ON treasury.holds (tenant_id, principal, id);

CREATE INDEX postings_of_authorization ON treasury.postings (tenant_id, authorization_id);
