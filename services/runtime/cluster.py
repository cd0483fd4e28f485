"""A client of Redis Cluster, where each shard lives in one slot (`keys.py`).

redis-py's own, but for the calls of functions:
- It asks the server at each of them which of its words are keys, sending all of them. Ours have one, at a known place.
- While a slot is moved key by key it follows ASK to the node that is to own it. There the keys that were not moved yet
  seem not to exist: an account would begin anew. Such a call fails here and is tried again until the slot is one again.
  On the node that owns the slot, a function that meets a key which was moved already fails before it has written.

Proven by `tests/runtime/test_cluster.py`.
"""

from typing import Any

from redis.asyncio import RedisCluster
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisClusterException
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.runtime.errors import ConfigurationError

_ATTEMPTS_MAX = 3
_MAP_IN_DOUBT = (ClusterDownError, RedisConnectionError, RedisTimeoutError)


class ClusterClient(RedisCluster):
    """redis-py's client of a cluster. A cluster out of reach is a ConnectionError, as a server is."""

    async def initialize(self, *arguments: Any, **named: Any) -> Any:
        """Learn which node owns which slot, if that is not known. ConfigurationError when the server is no cluster."""
        try:
            return await super().initialize(*arguments, **named)
        except RedisClusterException as error:
            said = _first_cause(error)
            if "cluster support disabled" in said:
                raise ConfigurationError(
                    "ADDONFLOW_REDIS_CLUSTER=true, but the server of ADDONFLOW_REDIS_URL is no cluster: set it to false"
                ) from error
            raise RedisConnectionError(said) from error

    async def fcall(self, function: str, numkeys: int, *keys_and_args: Any) -> Any:
        """Call a function of one key on the node that owns the key's slot."""
        attempts_left = _ATTEMPTS_MAX
        while True:
            attempts_left -= 1
            await self.initialize()
            node = self.get_node_from_key(keys_and_args[0])
            if node is None:
                raise RedisConnectionError(f"no node owns the slot of {keys_and_args[0]}")
            try:
                return await node.execute_command("FCALL", function, numkeys, *keys_and_args)
            except MovedError as error:  # an AskError too for redis-py, so it comes first
                await self.nodes_manager.move_slot(error)
                if not attempts_left:
                    raise
            except AskError as error:
                raise RedisConnectionError(f"the slot of {keys_and_args[0]} is being moved") from error
            except _MAP_IN_DOUBT:
                self._initialize = True
                if not attempts_left:
                    raise


def _first_cause(error: BaseException) -> str:
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    return str(error)


async def everywhere(redis: Any, *words: str) -> list[Any]:
    """Return the answer of the server, or of every node of a cluster; replicas that do not answer are left out."""
    if not isinstance(redis, RedisCluster):
        return [await redis.execute_command(*words)]
    await redis.initialize()
    answers = []
    for node in redis.get_nodes():
        try:
            answers.append(await node.execute_command(*words))
        except RedisConnectionError:
            if node in redis.get_primaries():
                raise
    return answers
