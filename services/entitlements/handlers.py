"""What wakes entitlements: the topics it reads, in one batch subscription."""

from contracts import topics
from services.runtime.subscription import Reader, Subscription


def register(process: Reader) -> Subscription:
    """Subscribe the process to what it reads."""
    return Subscription(process, (topics.ACCOUNTS, topics.COMMANDS, topics.BACKOFFICE))
