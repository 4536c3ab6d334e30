"""Who talks to NATS, and with which rights: each service has the least that it needs.

The one table that the local stack and the tests take the servers' users from.
"""

from collections.abc import Mapping

from tollhouse.local.nats import NatsUser

JETSTREAM = ("$JS.API.>", "$JS.ACK.>")

NATS_PUBLISH = {
    "gateway": ("gateway.>",),
    "relay": ("treasury.>",),
    "control": ("approval.>", "lockout.>", "compliance.>", "policy.>", "workflow.>", *JETSTREAM),
}


def nats_users(passwords: Mapping[str, str]) -> list[NatsUser]:
    """The users of the event bus. Control owns the streams and reads them through consumers of its own."""
    return [NatsUser(name, passwords[name], publish) for name, publish in NATS_PUBLISH.items()]
