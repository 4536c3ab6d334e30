"""The gateway: the policy enforcement point in front of an agent's tools.

The path of a request, file by file:

    edge/listener.py     the common listener, and what a streaming application asks of it
    app.py               the first segment of the path leads to a way in
    edge/ingress.py      the head is checked; whatever claims an identity is dropped
    edge/identity.py     the credential becomes a principal (keys: edge/registry.py; tokens: edge/jwks.py)
    edge/http_tools.py, edge/mcp.py, edge/spends.py
                         the request becomes one `Call` (core/classify.py), read once and strictly
    pipeline.py          price, decide, hold, record, forward, settle, record: one function
    edge/policy.py       OPA is asked, with all others who wait
    edge/treasury.py     money is held, captured, voided
    edge/journal.py      the decision is on disk before anything goes on
    edge/upstream.py     the tool is called

What is decided without waiting for anything stands in `core/`; what waits stands in `edge/`.
"""
