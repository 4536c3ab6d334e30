"""Events: what happened, told to whoever listens.

    envelope.v1.json        what every event is wrapped in
    <type>.v<version>.json  the payload of one type in one version
    common.v1.json          what several payloads are made of
    published.json          digests of every schema that was ever published: they never change
    registry                builds and validates events; whatever it does not know is refused
    cloudevents             the same event's CloudEvents 1.0 attributes

A published schema is never changed. A payload that must change gets a new version beside the old one.
"""
