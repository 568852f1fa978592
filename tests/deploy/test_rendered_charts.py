"""What Helm makes of our values: the instance, closed pods, probes and policies that meet the pods.

It needs Helm, by the variable HELM or in PATH, and the two charts: folders or archives that DAGSTER_CHART and
OAUTH2_PROXY_CHART name, folders of .local/charts, or their repositories.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_project.instance import PRODUCTION
from myproperty.settings import CHECKOUT
from tests.deploy.support import CHART_VERSION, DEPLOY, instance_of_chart, read_yaml

VALUES = DEPLOY / "helm"
HOST = "db.example.sql.goog"
# What `terraform output -raw helm_values` gives.
DEPLOYMENT: dict[str, Any] = {
    "serviceAccount": {"annotations": {"iam.gke.io/gcp-service-account": "runner@a-project.example"}},
    "postgresql": {"postgresqlHost": HOST},
    "additionalInstanceConfig": {
        name: {"config": {"postgres_db": {"hostname": HOST}}} for name in ("run_storage", "event_log_storage")
    },
    "computeLogManager": {"config": {"gcsComputeLogManager": {"bucket": "a-bucket"}}},
}
# The name and the repository of each chart, and its version if we name one.
CHARTS = {
    "dagster": ("https://dagster-io.github.io/helm", ["--version", CHART_VERSION]),
    "oauth2-proxy": ("https://oauth2-proxy.github.io/manifests", []),
}
OUT_OF_REACH = re.compile(r"no such host|dial tcp|looks like .* is not a valid chart")


def render(release: str, chart: str, *values: Path) -> list[dict[str, Any]]:
    """Return the manifests that Helm makes of a chart and our values, or skip the test."""
    helm = os.environ.get("HELM") or shutil.which("helm")
    if helm is None:
        pytest.skip(f"no Helm here, so the chart {chart} was not rendered with our values: install Helm")
    words = [helm, "template", release, *find_chart(chart), "--namespace=myproperty"]
    words += [f"--values={path}" for path in values]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode and OUT_OF_REACH.search(done.stderr):
        pytest.skip(
            f"the chart {chart} cannot be fetched here, so it was not rendered: install it as "
            f".local/charts/{chart}, or name its folder in {name_variable(chart)}. {done.stderr[-200:]}"
        )
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def find_chart(chart: str) -> list[str]:
    """Return the words that name a chart."""
    local = CHECKOUT / ".local" / "charts" / chart
    if given := os.environ.get(name_variable(chart)):
        return [given]
    if local.is_dir():
        return [str(local)]
    repository, version = CHARTS[chart]
    return [chart, "--repo", repository, *version]


def name_variable(chart: str) -> str:
    """Return the variable that names the folder of a chart."""
    return f"{chart.upper().replace('-', '_')}_CHART"


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The manifests of Dagster."""
    deployment = tmp_path_factory.mktemp("values") / "deployment.yaml"
    deployment.write_text(yaml.safe_dump(DEPLOYMENT))
    return render("myproperty", "dagster", VALUES / "values.yaml", deployment)


@pytest.fixture(scope="module")
def login() -> list[dict[str, Any]]:
    """The manifests of the login in front."""
    return render("login", "oauth2-proxy", VALUES / "login.yaml")


def find_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Return the manifests of one kind by name."""
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def test_the_instance_of_the_chart_is_the_one_of_production(dagster: list[dict[str, Any]]) -> None:
    text = find_kind(dagster, "ConfigMap")["myproperty-dagster-instance"]["data"]["dagster.yaml"]
    # Of two sections of one name this takes the last, as Dagster does.
    found = yaml.safe_load(text)
    assert found["run_monitoring"] == read_yaml(PRODUCTION / "dagster.yaml")["run_monitoring"]
    with_host = instance_of_chart(HOST)
    for section in ("run_storage", "event_log_storage"):
        assert found[section] == with_host[section]
    assert found["run_launcher"]["class"] == "K8sRunLauncher"
    assert found["compute_logs"]["config"]["bucket"] == "a-bucket"


def test_each_pod_is_closed_and_each_probe_asks_a_port_of_its_container(
    dagster: list[dict[str, Any]], login: list[dict[str, Any]]
) -> None:
    pods = {name: each["spec"]["template"]["spec"] for name, each in find_kind(dagster, "Deployment").items()}
    assert len(pods) == 3
    assert {pod["securityContext"]["runAsNonRoot"] for pod in pods.values()} == {True}
    assert {pod["serviceAccountName"] for pod in pods.values()} == {"myproperty"}
    assert list(find_kind(dagster, "ServiceAccount")) == ["myproperty"]
    (front,) = find_kind(login, "Deployment").values()
    closed = [*pods.values(), front["spec"]["template"]["spec"]]
    for container in [
        each for pod in closed for each in [*pod.get("initContainers", []), *pod["containers"]]
    ]:
        own = container["securityContext"]
        assert own["readOnlyRootFilesystem"] is True and own["allowPrivilegeEscalation"] is False
        ports = {
            given for port in container.get("ports", []) for given in (port["name"], port["containerPort"])
        }
        asked = {
            container[name]["httpGet"]["port"]
            for name in ("readinessProbe", "livenessProbe", "startupProbe")
            if "httpGet" in container.get(name, {})
        }
        assert asked <= ports, container["name"]


def test_each_policy_meets_pods_and_lets_in_pods_that_are_there(
    dagster: list[dict[str, Any]], login: list[dict[str, Any]]
) -> None:
    deployments = {**find_kind(dagster, "Deployment"), **find_kind(login, "Deployment")}
    labels = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in deployments.items()}
    met = {}
    for policy in yaml.safe_load_all((VALUES / "network-policies.yaml").read_text()):
        peers = [
            peer["podSelector"] for rule in policy["spec"].get("ingress", []) for peer in rule.get("from", [])
        ]
        met[policy["metadata"]["name"]] = (
            find_selected(policy["spec"]["podSelector"], labels),
            [find_selected(peer, labels) for peer in peers],
        )
    code, daemon = "myproperty-dagster-user-deployments-code-location", "myproperty-dagster-daemon"
    pages, front = "myproperty-webserver", "login-oauth2-proxy"
    assert met == {
        "nobody": ({code, daemon, pages, front}, []),
        "login-to-webserver": ({pages}, [{front}]),
        "dagster-to-code-location": ({code}, [{daemon, pages}]),
        "internet-to-login": ({front}, []),
    }


def find_selected(selector: dict[str, Any], labels: dict[str, dict[str, str]]) -> set[str]:
    """Return the deployments whose pods a selector takes."""
    wanted = {key: [value] for key, value in selector.get("matchLabels", {}).items()}
    wanted |= {each["key"]: each["values"] for each in selector.get("matchExpressions", [])}
    return {name for name, given in labels.items() if all(given.get(key) in wanted[key] for key in wanted)}


def test_nothing_has_an_address_but_the_login(
    dagster: list[dict[str, Any]], login: list[dict[str, Any]]
) -> None:
    services = {**find_kind(dagster, "Service"), **find_kind(login, "Service")}
    assert {each["spec"].get("type", "ClusterIP") for each in services.values()} == {"ClusterIP"}
    # The names in login.yaml, workspace.yaml of the chart and docs/production.md.
    assert {"myproperty-webserver", "code-location"} <= services.keys()
    assert not find_kind(dagster, "Ingress")
    (ingress,) = find_kind(login, "Ingress").values()
    assert ingress["metadata"]["annotations"]["kubernetes.io/ingress.class"] == "gce"
    assert "ingressClassName" not in ingress["spec"]
