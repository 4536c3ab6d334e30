"""An event's CloudEvents 1.0 attributes, as headers of a NATS message.

    specversion      1.0
    id               event_id
    type             event_type
    source           tollhouse/<tenant>
    subject          workflow_id, left out where there is none
    time             occurred_at
    datacontenttype  application/json
    dataschema       urn:tollhouse:schema:<event_type>:<schema_version>
    correlationid    correlation_id, left out where there is none (an extension)

Names are prefixed `ce-` as in the NATS protocol binding. The body of the message stays the whole
envelope, so that an event is complete without its headers; the attributes let routers read it unparsed.
"""

from urllib.parse import quote

from schemas.events.registry import Event


def headers(event: Event) -> dict[str, str]:
    """The `ce-*` headers of a valid event; values are percent-encoded where a header cannot hold them."""
    attributes = {
        "specversion": "1.0",
        "id": event["event_id"],
        "type": event["event_type"],
        "source": f"tollhouse/{event['tenant']}",
        "subject": event["workflow_id"],
        "time": event["occurred_at"],
        "datacontenttype": "application/json",
        "dataschema": f"urn:tollhouse:schema:{event['event_type']}:{event['schema_version']}",
        "correlationid": event["correlation_id"],
    }
    return {f"ce-{name}": quote(value, safe=_SAFE) for name, value in attributes.items() if value}


_SAFE = "!#$&'()*+,/:;=?@[]^_`{|}~<>\\"
