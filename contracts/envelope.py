"""The envelope of every record: CloudEvents 1.0 in Kafka's binary mode (headers `ce_…`, the value is the data as JSON).

- ce_id: a command's is its sender's choice and idempotency key; ours derive from their cause
- ce_subject: the account id
- ce_sequence: 1, 2, 3 … per topic and account on everything a service emits about a known account
- ce_causationid: the `ce_id` of what caused this
- ce_correlationid: the `ce_id` of the first cause in the chain, or what its sender gave
- ce_traceparent: W3C trace context, passed on as it came; where traces are on, that of the span that sends the record
"""

from typing import NamedTuple

from contracts.payload import Payload

SPEC_VERSION = "1.0"
DATA_CONTENT_TYPE = "application/json"
STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
REQUIRED = ("specversion", "id", "source", "type")
EXTENSIONS = ("sequence", "causationid", "correlationid", "traceparent")


class Envelope(NamedTuple):
    """A record that could be read. `data` is None for a type this reader does not know (a newer writer's).

    `time` is RFC 3339 text: information, never an input to a decision.
    """

    id: str
    source: str
    type: str
    time: str | None
    account_id: str
    sequence: int | None
    causation_id: str | None
    correlation_id: str | None
    traceparent: str | None
    data: Payload | None
