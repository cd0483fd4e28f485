"""What can go wrong, as one tree. Expected outcomes (refusals, repetitions, conflicts) are values, never exceptions.

AddonflowError
├── ConfigurationError   stops the start: its message is one line that says what to set
├── Stopping             the process was asked to stop while it waited; nothing was acknowledged
├── ClockSkewed          this machine's clock differs too much from that of Redis; it says by how much
├── RecordTooLarge       a decision says what no broker takes; it fails alone, like one that raises
├── ConflictsExhausted   others kept changing the same accounts; a batch is tried again, a request told to come again
└── Crowded              more requests wait for one account than are kept waiting; none of it was begun
"""

from aiokafka.errors import KafkaError
from redis.exceptions import RedisClusterException, RedisError


class AddonflowError(Exception):
    """The root of every error raised by addonflow itself."""


class ConfigurationError(AddonflowError):
    """The process cannot start as it is set up; the message is for the operator."""


class Stopping(AddonflowError):  # noqa: N818 - a signal to unwind, not a fault
    """The process stops; whatever was under way is not acknowledged and will be delivered again."""


class ClockSkewed(AddonflowError):  # noqa: N818 - named for how it is
    """Two machines' clocks differ by more than is borne."""


class RecordTooLarge(AddonflowError):  # noqa: N818 - named for what it is
    """A record has more bytes than can be published."""


class ConflictsExhausted(AddonflowError):  # noqa: N818 - named for what happened
    """Loading and deciding again did not help within the bound."""


class Crowded(AddonflowError):  # noqa: N818 - named for how it is
    """Too many ask about one account at once."""


TROUBLE: tuple[type[Exception], ...] = (
    RedisError,
    RedisClusterException,
    KafkaError,
    OSError,
    TimeoutError,
    ClockSkewed,
)
"""What is waited out: the same batch is tried again, with bounded backoff, and nothing is acknowledged meanwhile."""
