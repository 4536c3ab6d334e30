-- The record's whole schema: all migrations, in order. Made for reading; a test holds it to them.

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

-- Cases: what policy found in the events, with the events that show it.

-- Refused calls, kept as long as they may count; one a decision.
CREATE TABLE control.refusals (
    tenant text NOT NULL,
    decision_id text NOT NULL,
    event_id text NOT NULL,
    agent text NOT NULL,
    code text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant, decision_id)
);

CREATE INDEX refusals_by_agent ON control.refusals (tenant, agent, at);

CREATE INDEX refusals_by_time ON control.refusals (at);

-- Holds whose outcome was unknown when it was last heard of them.
CREATE TABLE control.unknown_holds (
    tenant text NOT NULL,
    hold_id text NOT NULL,
    event_id text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (tenant, hold_id),
    FOREIGN KEY (tenant, event_id) REFERENCES control.events (tenant, event_id)
);

CREATE INDEX unknown_holds_by_time ON control.unknown_holds (since);

CREATE TABLE control.cases (
    tenant text NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    agent text NOT NULL,
    workflow_id text NOT NULL,
    message text NOT NULL,
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'assigned', 'resolved')),
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    assigned_to text,
    resolution text,
    note text,
    resolved_by text,
    resolved_at timestamptz,
    PRIMARY KEY (tenant, id),
    CHECK (
        (status = 'resolved')
        = (
            resolution IS NOT NULL
            AND note IS NOT NULL
            AND resolved_by IS NOT NULL
            AND resolved_at IS NOT NULL
        )
    )
);

CREATE UNIQUE INDEX one_open_case ON control.cases (tenant, kind, subject) WHERE status <> 'resolved';

CREATE INDEX cases_by_time ON control.cases (tenant, opened_at DESC, id DESC);

CREATE TABLE control.case_evidence (
    tenant text NOT NULL,
    case_id uuid NOT NULL,
    event_id text NOT NULL,
    workflow_id text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, case_id, event_id),
    FOREIGN KEY (tenant, case_id) REFERENCES control.cases (tenant, id),
    FOREIGN KEY (tenant, event_id) REFERENCES control.events (tenant, event_id)
);

CREATE INDEX evidence_by_event ON control.case_evidence (tenant, event_id);

CREATE INDEX evidence_by_workflow ON control.case_evidence (tenant, workflow_id);

-- What control itself has to tell, written with what it tells of.
CREATE TABLE control.outbox (
    tenant text NOT NULL,
    event_id text NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    event jsonb NOT NULL,
    published_at timestamptz,
    PRIMARY KEY (tenant, event_id)
);

CREATE INDEX outbox_unpublished ON control.outbox (position) WHERE published_at IS NULL;

GRANT SELECT, INSERT ON
control.refusals,
control.unknown_holds,
control.cases,
control.case_evidence,
control.outbox
TO tollhouse_control;

GRANT DELETE ON control.refusals, control.unknown_holds TO tollhouse_control;

GRANT UPDATE (status, assigned_to, resolution, note, resolved_by, resolved_at) ON control.cases
TO tollhouse_control;

GRANT UPDATE (published_at) ON control.outbox TO tollhouse_control;
