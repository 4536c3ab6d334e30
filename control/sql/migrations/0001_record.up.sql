-- What happened, written once and never changed. Every key begins with the tenant.

CREATE TABLE control.events (
    tenant text NOT NULL,
    event_id text NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    event_type text NOT NULL,
    workflow_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    event jsonb NOT NULL,
    PRIMARY KEY (tenant, event_id)
);

CREATE INDEX events_by_position ON control.events (tenant, position);

CREATE INDEX events_by_workflow ON control.events (tenant, workflow_id, position);

CREATE TABLE control.decisions (
    tenant text NOT NULL,
    decision_id text NOT NULL,
    at timestamptz NOT NULL,
    agent text NOT NULL,
    role text NOT NULL,
    tool text NOT NULL,
    workflow_id text NOT NULL,
    allow boolean NOT NULL,
    codes text[] NOT NULL,
    record jsonb NOT NULL,
    PRIMARY KEY (tenant, decision_id)
);

CREATE INDEX decisions_by_time ON control.decisions (tenant, at DESC, decision_id DESC);

CREATE INDEX decisions_by_agent ON control.decisions (tenant, agent, at DESC, decision_id DESC);

CREATE INDEX decisions_by_workflow ON control.decisions (tenant, workflow_id, at DESC, decision_id DESC);

-- A decision's outcome may arrive before the decision itself does, so it stands alone.
CREATE TABLE control.outcomes (
    tenant text NOT NULL,
    decision_id text NOT NULL,
    record jsonb NOT NULL,
    PRIMARY KEY (tenant, decision_id)
);

GRANT USAGE ON SCHEMA control TO tollhouse_control;

GRANT SELECT, INSERT ON control.events, control.decisions, control.outcomes TO tollhouse_control;
