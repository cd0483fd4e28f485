"""The wire contract: every message, topic, reason code and price of addonflow, as data.

Nothing here reads, writes or decides. Services import contracts; contracts import nothing of theirs.
"""
