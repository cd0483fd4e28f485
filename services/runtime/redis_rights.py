"""What a service may do on Redis: with the keys of its own shards, and with little else. The rest is denied.

The rules are those of ACL SETUSER (Redis 7, Valkey). Functions run with the rights of who calls them, so what they call
is permitted too, on the same keys. Loading functions is not: whoever may replace a library speaks for all who call it,
so `addonflow access create` loads it. Services change no setting and no other service's key, and see neither.
"""

from typing import Final

from services.runtime.keys import clock_key, deployment_key

# Called by `store.py` (the first two lines), and by the functions of `functions.lua`.
_ON_OWN_KEYS: Final = (
    "exists fcall hget hgetall hmget "
    "xlen xrange zcount zrangebyscore "
    "del hdel hlen hset mget set xadd xrevrange xtrim zadd zcard zrem"
).split()
_ON_NO_KEY: Final = ("config|get", "function|list", "select", "time")
_IN_A_CLUSTER: Final = ("asking", "cluster|slots", "command")  # its client asks who owns which slot
_ON_THE_DEPLOYMENT: Final = ("hexists", "hget", "hsetnx")
_TO_SEE_THE_CLOCK: Final = ("exists",)
_TO_KEEP_THE_CLOCK: Final = ("exists", "get", "set")  # who comes first starts it, and puts it back when it is lost


def own_keys(namespace: str, service: str) -> str:
    """Return the pattern of the keys of a service's shards, `{<namespace><service>.p}:…`."""
    return f"{{{namespace}{service}.*}}:*"


def rules_of(namespace: str, service: str, *, virtual_clock: bool, cluster: bool = False) -> tuple[str, ...]:
    """Return a service's rules in the order they are given, without its password. Each is one argument."""
    to_clock = _TO_KEEP_THE_CLOCK if virtual_clock else _TO_SEE_THE_CLOCK
    return (
        "on",
        f"~{own_keys(namespace, service)}",
        "resetchannels",
        "-@all",
        *(f"+{command}" for command in (*_ON_OWN_KEYS, *_ON_NO_KEY, *(_IN_A_CLUSTER if cluster else ()))),
        _selector(f"~{deployment_key(namespace)}", _ON_THE_DEPLOYMENT),
        _selector(f"{'' if virtual_clock else '%R'}~{clock_key(namespace)}", to_clock),
    )


def _selector(keys: str, commands: tuple[str, ...]) -> str:
    return f"({keys} -@all {' '.join(f'+{command}' for command in commands)})"


ADMIN_RULES: Final = ("on", "~*", "&*", "+@all")
"""For setting up and for operators' commands."""
HEALTH_RULES: Final = ("on", "nopass", "resetkeys", "resetchannels", "-@all", "+ping")
"""For asking whether the server answers, and nothing else: it needs no password."""
