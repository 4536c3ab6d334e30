"""The operators' plane: what was decided, what came of it, and what was wrong with it.

reader       a durable consumer of the event stream: in order, nothing lost, poison set apart
recorder     keeps every event in PostgreSQL, each once
observation  which events policy is asked about
evidence     what is counted for policy, and the cases that it finds
compliance   asks policy (Rego) and opens cases
watch        what the clock brings up: outcomes unknown for too long
outbox       what control itself has to tell, published by a round of its own
work         puts all of these together
store        what is kept and how it is asked for; the SQL is in sql/
operators    who may ask: operators by the digest of their key, each for one tenant
decisions    GET /v1/decisions, GET /v1/decisions/{id}
events       GET /v1/events
cases        /v1/cases: read, assign, resolve
workflows    /v1/workflows: create, suspend, resume, finish, by way of the treasury
health       GET /healthz, /readyz, /metrics
app          puts it together
migrate      installs the schema `control`
"""
