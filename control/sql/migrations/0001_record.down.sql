DROP TABLE control.outcomes;

DROP TABLE control.decisions;

DROP TABLE control.events;

REVOKE USAGE ON SCHEMA control FROM tollhouse_control;
