"""Events: what happened, told to whoever listens.

    envelope.v1.json        what every event is wrapped in
    <type>.v<version>.json  the payload of one type in one version
    common.v1.json          what several payloads are made of
    published/              every schema as it was last published; published.json pins their digests
    publish                 `python -m schemas.events.publish`: publishes what is new, refuses what breaks
    compatibility           which changes break somebody
    registry                builds and validates events; whatever it does not know is refused
    cloudevents             the same event's CloudEvents 1.0 attributes

A published schema is never changed in a way that breaks somebody. A payload that must change so gets a new
version beside the old one.
"""
