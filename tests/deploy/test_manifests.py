"""The Kubernetes manifests: what kustomize makes of the example overlay is valid, confined, and fits the code."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic_settings import BaseSettings

from contracts.access import SERVICES
from contracts.topics import READERS, group_name
from deploy.addonflow.topics import wanted
from deploy.manifests import EXAMPLE, golden_files, inputs_digest
from services.dashboard.settings import DashboardSettings
from services.runtime.settings import Settings
from services.runtime.subscription import group_of

SCHEMAS = Path(__file__).with_name("schemas")
PROCESSES = (*SERVICES, "dashboard")
Manifest = dict[str, Any]


@cache
def manifests() -> tuple[Manifest, ...]:
    """Return everything of the example."""
    return tuple(yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8")))


def of(kind: str, name: str) -> Manifest:
    """Return one resource."""
    [found] = [each for each in manifests() if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def workload(process: str) -> Manifest:
    """Return what runs a process."""
    return of("Deployment" if process == "dashboard" else "StatefulSet", process)


def pod(process: str) -> Manifest:
    """Return the pod of a process."""
    found: Manifest = workload(process)["spec"]["template"]["spec"]
    return found


def container(process: str) -> Manifest:
    """Return the one container of a process."""
    [found] = pod(process)["containers"]
    return found


def variables(process: str) -> dict[str, str]:
    """Return the environment of a process; a name that Kubernetes fills in is "pod-0"."""
    settings: dict[str, str] = dict(of("ConfigMap", "addonflow")["data"])
    return settings | {each["name"]: each.get("value", "pod-0") for each in container(process)["env"]}


@pytest.mark.parametrize(("path", "text"), list(golden_files()))
def test_generated_manifests_are_what_the_registry_says(path: Path, text: str) -> None:
    """Topics, users and scaling are committed as `python -m deploy.manifests` writes them."""
    assert path.read_text(encoding="utf-8") == text


def test_the_example_is_made_of_the_manifests_as_they_are() -> None:
    """After a change of any manifest `make manifests` puts the example together again."""
    assert EXAMPLE.read_text(encoding="utf-8").splitlines()[0].endswith(inputs_digest())


@pytest.mark.parametrize("manifest", manifests(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_every_manifest_is_valid(manifest: Manifest) -> None:
    """Kubernetes, Strimzi and KEDA take it: every field is one of theirs, of its type."""
    operators = json.loads((SCHEMAS / "operators.json").read_text(encoding="utf-8"))
    kubernetes = json.loads((SCHEMAS / "kubernetes.json").read_text(encoding="utf-8"))
    kind = manifest["kind"]
    schema = operators.get(kind) or {"$ref": kubernetes["kinds"][kind], "definitions": kubernetes["definitions"]}

    jsonschema.validate(manifest, schema)


def test_a_manifest_with_a_misspelt_field_is_not_valid() -> None:
    """The schemas are strict, else the test above would say nothing."""
    wrong = json.loads(json.dumps(workload("billing")))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}

    with pytest.raises(jsonschema.ValidationError, match="livenessProb"):
        test_every_manifest_is_valid(wrong)


@pytest.mark.parametrize("process", PROCESSES)
def test_every_variable_is_a_setting_and_every_value_one_it_takes(
    process: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process would start with its environment, and none of it is misspelt."""
    kinds: list[type[BaseSettings]] = [Settings, DashboardSettings] if process == "dashboard" else [Settings]
    known = {f"{kind.model_config['env_prefix']}{name.upper()}" for kind in kinds for name in kind.model_fields}
    given = variables(process)
    assert given.keys() - known == set()
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    settings = Settings.load()

    assert settings.environment == "production"
    assert settings.partitions == Settings.model_fields["partitions"].default
    assert settings.kafka_username == process
    assert settings.redis_username == (None if process == "dashboard" else process)
    assert process != "dashboard" or DashboardSettings().secure


@pytest.mark.parametrize("process", PROCESSES)
def test_every_file_that_a_setting_names_is_mounted(process: str) -> None:
    """Secrets are files of mounted secrets, read-only, and none is written into a manifest."""
    mounts = {each["mountPath"]: each for each in container(process)["volumeMounts"]}
    volumes = {each["name"]: each for each in pod(process)["volumes"]}
    for name, path in variables(process).items():
        if path.startswith("/run/"):
            mount = mounts[str(Path(path).parent)]
            assert mount["readOnly"], name
            assert "secret" in volumes[mount["name"]], name
    assert not [each for each in manifests() if each["kind"] == "Secret"]


@pytest.mark.parametrize("process", PROCESSES)
def test_every_pod_is_confined(process: str) -> None:
    """No root, no writable file system, no capability, no token of Kubernetes, a seccomp profile, a bound of memory."""
    confined, own = pod(process)["securityContext"], container(process)["securityContext"]

    assert confined["runAsNonRoot"] is True
    assert confined["runAsUser"] == 10_001
    assert confined["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["readOnlyRootFilesystem"] is True
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert pod(process)["automountServiceAccountToken"] is False
    assert "memory" in container(process)["resources"]["limits"]


@pytest.mark.parametrize("process", PROCESSES)
def test_every_pod_is_watched_spread_kept_and_reached(process: str) -> None:
    """Probes of progress, one pod away at a time, on hosts apart, in the network's policy, behind a service."""
    labels = workload(process)["spec"]["template"]["metadata"]["labels"]
    probes = container(process)
    assert probes["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert probes["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    kept = of("PodDisruptionBudget", process)["spec"]
    assert kept["maxUnavailable"] == 1
    [spread] = pod(process)["topologySpreadConstraints"]
    policy = of("NetworkPolicy", "addonflow")["spec"]
    reached = of("Service", process)["spec"]
    for selector in (
        workload(process)["spec"]["selector"]["matchLabels"],
        kept["selector"]["matchLabels"],
        spread["labelSelector"]["matchLabels"],
        policy["podSelector"]["matchLabels"],
        reached["selector"],
    ):
        assert selector.items() <= labels.items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize("service", READERS)
def test_a_service_has_stable_names_and_is_scaled_by_what_waits_for_it(service: str) -> None:
    """A pod's name is its name in the group; KEDA looks at the code's group and topics, up to a pod a partition."""
    instance = next(each for each in container(service)["env"] if each["name"] == "ADDONFLOW_INSTANCE_ID")
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    scaled = of("ScaledObject", service)["spec"]
    assert scaled["scaleTargetRef"]["name"] == workload(service)["metadata"]["name"]
    assert scaled["maxReplicaCount"] == Settings().partitions
    watched = [(each["metadata"]["consumerGroup"], each["metadata"]["topic"]) for each in scaled["triggers"]]
    assert watched == [(group_of(Settings(), service), topic.name) for topic in READERS[service]]
    assert group_of(Settings(), service) == group_name("", service)


def test_every_topic_has_three_replicas_of_which_two_must_have_what_is_acknowledged() -> None:
    """All topics of a deployment, dead letters too, with its number of partitions."""
    topics = {each["metadata"]["name"]: each["spec"] for each in manifests() if each["kind"] == "KafkaTopic"}

    assert topics.keys() == wanted(Settings()).keys()
    for spec in topics.values():
        assert (spec["partitions"], spec["replicas"]) == (Settings().partitions, 3)
        assert spec["config"]["min.insync.replicas"] == "2"
