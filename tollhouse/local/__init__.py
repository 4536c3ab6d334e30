"""The local stack: every server that Tollhouse needs, as children of one process.

`postgres`, `nats` and `opa` each know one real server: its folder, its configuration, its credentials, the
question that tells whether it is ready. `child` keeps a process that cannot outlive us; `stack` puts all of
them and our own services together; `supervisor` watches them. Nothing here listens beyond loopback, and
nothing answers without credentials.
"""
