"""The operators' plane: what was decided, what came of it, and everything else that happened.

recorder    reads the event stream and keeps it in PostgreSQL, each event once
store       what is kept and how it is asked for; the SQL is in sql/queries.sql
operators   who may ask: operators by the digest of their key, each for one tenant
decisions   GET /v1/decisions, GET /v1/decisions/{id}
events      GET /v1/events
health      GET /healthz, /readyz, /metrics
app         puts it together
migrate     installs the schema `control`
"""
