"""Write the Kubernetes resources that follow from the registry of topics: `python -m deploy.manifests`.

Strimzi's topics and users with their rights, and KEDA's scaling by each service's lag. The other manifests are written
by hand; kustomize, which must be on PATH, puts the example together.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from contracts.access import PARTIES, Operation, Right, rights_of, user_of
from contracts.schemas import write_changed
from contracts.topics import READERS, group_name
from deploy.addonflow.topics import wanted
from services.runtime.settings import Settings

KUBERNETES: Final = Path(__file__).with_name("kubernetes")
_GENERATED: Final = "# Made by `python -m deploy.manifests` from contracts/topics.py; a change here is lost.\n"
_REPLICAS: Final = 3
_IN_SYNC: Final = {"min.insync.replicas": "2"}
_PROCESSES_MIN: Final = 2
_LAG_OF_A_PROCESS: Final = 10_000  # records, about a second of work


def _topic(name: str, configuration: dict[str, str], partitions: int) -> str:
    config = "\n".join(f'    {key}: "{value}"' for key, value in sorted((configuration | _IN_SYNC).items()))
    return f"""\
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaTopic
metadata:
  name: {name}
  labels:
    strimzi.io/cluster: kafka
spec:
  partitions: {partitions}
  replicas: {_REPLICAS}
  config:
{config}
"""


def _acl(resource: Sequence[str], operations: Sequence[Operation]) -> str:
    kind, name, pattern = resource
    said = ", ".join(each.value.capitalize() for each in operations)
    return f"""\
      - resource:
          type: {kind}
          name: {name}
          patternType: {"prefix" if pattern == "prefixed" else "literal"}
        operations: [{said}]
"""


def _resource(right: Right) -> tuple[str, str, str]:
    return right.resource.value, right.name, right.pattern.value


def _user(party: str) -> str:
    rights = sorted(rights_of("", party), key=_resource)
    acls = "".join(_acl(about, [each.operation for each in some]) for about, some in groupby(rights, _resource))
    return f"""\
---
apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata:
  name: {user_of("", party)}
  labels:
    strimzi.io/cluster: kafka
spec:
  authentication:
    type: scram-sha-512
  authorization:
    type: simple
    acls:
{acls}"""


def _scaled(service: str, partitions: int) -> str:
    triggers = "".join(
        f"""\
    - type: kafka
      metadata:
        bootstrapServers: kafka-kafka-bootstrap:9093
        consumerGroup: {group_name("", service)}
        topic: {topic.name}
        lagThreshold: "{_LAG_OF_A_PROCESS}"
        offsetResetPolicy: earliest
        sasl: scram_sha512
        tls: enable
      authenticationRef:
        name: {service}-lag
"""
        for topic in READERS[service]
    )
    return f"""\
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  name: {service}-lag
spec:
  env:
    - {{parameter: username, name: ADDONFLOW_KAFKA_USERNAME, containerName: addonflow}}
  secretTargetRef:
    - {{parameter: password, name: {user_of("", service)}, key: password}}
    - {{parameter: ca, name: kafka-cluster-ca-cert, key: ca.crt}}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {service}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: StatefulSet
    name: {service}
  minReplicaCount: {_PROCESSES_MIN}
  maxReplicaCount: {partitions}
  pollingInterval: 15
  cooldownPeriod: 300
  triggers:
{triggers}"""


def golden_files() -> Iterator[tuple[Path, str]]:
    """Yield the path and the exact text of every generated manifest."""
    settings = Settings(namespace="")
    partitions = settings.partitions
    topics = "".join(_topic(name, configuration, partitions) for name, configuration in wanted(settings).items())
    yield KUBERNETES / "components" / "strimzi" / "topics.yaml", _GENERATED + topics
    yield KUBERNETES / "components" / "strimzi" / "users.yaml", _GENERATED + "".join(map(_user, PARTIES))
    scaled = "".join(_scaled(service, partitions) for service in READERS)
    yield KUBERNETES / "components" / "keda" / "scaled-objects.yaml", _GENERATED + scaled


EXAMPLE: Final = KUBERNETES / "example.yaml"
"""What kustomize makes of the example overlay, for those who read, and for the tests."""


def inputs_digest() -> str:
    """Return a digest of everything that the example is made of."""
    paths = sorted(path for path in KUBERNETES.rglob("*.yaml") if path != EXAMPLE)
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(KUBERNETES)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _render() -> str:
    overlay = str(KUBERNETES / "overlays" / "example")
    program = shutil.which("kustomize")
    if program is None:
        raise SystemExit("kustomize is needed to put the example together: it is not on PATH")
    made = subprocess.run((program, "build", overlay), check=True, capture_output=True, text=True).stdout  # noqa: S603
    return f"# kustomize build overlays/example, of inputs with the digest {inputs_digest()}\n{made}"


def main() -> int:
    """Bring the committed manifests to what the registry says, and the example to them; name what changed."""
    for name in write_changed(golden_files()):
        sys.stdout.write(f"wrote {name}\n")
    for name in write_changed([(EXAMPLE, _render())]):
        sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
