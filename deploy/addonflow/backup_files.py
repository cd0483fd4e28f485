"""A backup as files: a folder with a manifest and a file for each shard of each service.

    manifest.json             what was kept, when, and from where the log has to be read again
    <service>.<shard>.gz      msgpack, one item after the other:
      ["relay", {field: value}, id]     the relay's place, and the last entry of the outbox, before all that follows
      ["account", account, {field: value}]      one account's hash, as it was at one moment
      ["mark", account, command key, answer, milliseconds left]
      ["entry", id, [record ...]]       an entry of the outbox
      ["end", number of items]          a file without it is not whole

The files hold names, addresses and amounts of all accounts: they can be read by their owner only (mode 0600).
"""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import msgpack
from pydantic import BaseModel, ConfigDict, ValidationError

from services.runtime.errors import AddonflowError
from services.runtime.settings import Settings

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
_PRIVATE: Final = 0o600
_CHUNK_BYTES: Final = 65_536


class UnusableBackup(AddonflowError):  # noqa: N818 - named for what the backup is
    """A backup is not whole, or not of this deployment; the message says which file."""


class ServiceBackup(BaseModel):
    """What was kept of a service. `read`, `said`: per topic and partition the offset from which its log is needed.

    -1 is a topic of which the service had read nothing. `milliseconds`: when its marks were written down.
    """

    model_config = ConfigDict(frozen=True)

    milliseconds: int
    read: dict[str, list[int]]
    said: dict[str, list[int]]
    accounts: int = 0
    answers: int = 0
    records: int = 0


class Manifest(BaseModel):
    """What a backup is of."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    namespace: str
    partitions: int
    began_at: str
    ended_at: str
    virtual_ms: int | None = None
    services: dict[str, ServiceBackup]

    def of(self, service: str, settings: Settings) -> ServiceBackup:
        """Return what was kept of a service; UnusableBackup when it is of another deployment."""
        if (self.namespace, self.partitions) != (
            settings.namespace,
            settings.partitions,
        ) or service not in self.services:
            raise UnusableBackup(
                f"the backup is of namespace {self.namespace!r} with {self.partitions} partitions, "
                f"this deployment is {settings.namespace!r} with {settings.partitions}"
            )
        return self.services[service]

    def write(self, folder: Path) -> None:
        """Write it, last of all: a folder without it is no backup."""
        with _private(folder / MANIFEST) as file:
            file.write(self.model_dump_json(indent=2).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it; UnusableBackup when there is none or it cannot be read."""
        try:
            manifest = cls.model_validate(json.loads((folder / MANIFEST).read_bytes()))
        except OSError as error:
            raise UnusableBackup(f"{folder} holds no backup that was completed: {error}") from error
        except (ValueError, ValidationError) as error:
            raise UnusableBackup(f"{folder / MANIFEST} cannot be read") from error
        if manifest.format != FORMAT:
            raise UnusableBackup(f"{folder} is a backup of format {manifest.format}, this release reads {FORMAT}")
        return manifest


def new_folder(folder: Path) -> None:
    """Make the folder of a backup; UnusableBackup when there is something in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UnusableBackup(f"{folder} is not empty: a backup is written into a folder of its own")


def _private(path: Path) -> Any:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb")


def shard_file(folder: Path, service: str, shard: int) -> Path:
    """Name the file of a shard."""
    return folder / f"{service}.{shard}.gz"


class ShardWriter:
    """Writes a shard's file; it is whole when the block ends without an error."""

    def __init__(self, folder: Path, service: str, shard: int) -> None:
        self._raw = _private(shard_file(folder, service, shard))
        self._file = gzip.GzipFile(fileobj=self._raw, mode="wb", compresslevel=1, mtime=0)
        self._items = 0

    def add(self, *item: Any) -> None:
        """Write one item."""
        self._items += 1
        self._file.write(msgpack.packb(item))

    def close(self, *, whole: bool) -> None:
        """Close the file; `whole`: say that nothing is missing, and have it on the disk."""
        if whole:
            self._file.write(msgpack.packb(("end", self._items)))
        self._file.close()
        self._raw.flush()
        os.fsync(self._raw.fileno())
        self._raw.close()


def read_shard(folder: Path, service: str, shard: int) -> Iterator[list[Any]]:
    """Yield a shard's items; UnusableBackup where the file ends before its end. Memory: one item."""
    path = shard_file(folder, service, shard)
    items, ended = 0, False
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    try:
        with gzip.open(path) as file:
            while chunk := file.read(_CHUNK_BYTES):
                unpacker.feed(chunk)
                for item in unpacker:
                    if item[0] == "end":
                        ended = item[1] == items
                        continue
                    items += 1
                    yield item
    except (OSError, EOFError, ValueError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise UnusableBackup(f"{path} cannot be read: {error}") from error
    if not ended:
        raise UnusableBackup(f"{path} is not whole")
