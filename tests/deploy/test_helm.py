"""The values of Dagster's chart: its instance is the one of production, its pods are closed."""

import re

import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config_schema

from dagster_project.instance import PRODUCTION
from myproperty.settings import CHECKOUT
from tests.deploy.support import CHART_VERSION, DEPLOY, read_yaml

HELM = DEPLOY / "helm"
VALUES = read_yaml(HELM / "values.yaml")
PRODUCTION_INSTANCE = read_yaml(PRODUCTION / "dagster.yaml")
# The chart writes these three itself: storage and logs are others than on one machine, and a run is a pod.
OF_THE_CHART = {
    "storage",
    "local_artifact_storage",
    "compute_logs",
    "run_launcher",
    "telemetry",
    "python_logs",
}
CODE = VALUES["dagster-user-deployments"]["deployments"][0]
RUN = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
PODS = {"code": CODE, "webserver": VALUES["dagsterWebserver"], "daemon": VALUES["dagsterDaemon"]}


def test_the_instance_is_the_one_of_production() -> None:
    given = {
        name: part
        for name, part in VALUES["additionalInstanceConfig"].items()
        if name not in ("run_storage", "event_log_storage")
    }
    assert given == {name: part for name, part in PRODUCTION_INSTANCE.items() if name not in OF_THE_CHART}
    assert PRODUCTION_INSTANCE["telemetry"] == {"enabled": VALUES["telemetry"]["enabled"]}
    assert PRODUCTION_INSTANCE["python_logs"]["python_log_level"] == VALUES["pythonLogs"]["pythonLogLevel"]
    # The chart would write a second section of the same name.
    for name in ("runCoordinator", "runMonitoring", "runRetries"):
        assert VALUES["dagsterDaemon"][name] == {"enabled": False}
    assert VALUES["retention"] == {"enabled": False}
    postgres = VALUES["postgresql"]
    assert (
        postgres["postgresqlScheme"]
        == PRODUCTION_INSTANCE["storage"]["custom"]["config"]["postgres_db"]["scheme"]
    )
    assert postgres["postgresqlParams"]["sslmode"] == "verify-full"


def test_runs_and_events_are_stored_by_the_pooled_storage_in_the_charts_database() -> None:
    chart = VALUES["postgresql"]
    asked = {"run_storage": "PooledPostgresRunStorage", "event_log_storage": "PooledPostgresEventLogStorage"}
    for section, name in asked.items():
        given = VALUES["additionalInstanceConfig"][section]
        assert (given["module"], given["class"]) == ("dagster_project.postgres_storage", name)
        assert given["config"]["postgres_db"] == {
            "scheme": chart["postgresqlScheme"],
            "username": chart["postgresqlUsername"],
            "password": {"env": "DAGSTER_PG_PASSWORD"},
            "port": chart["service"]["port"],
            "db_name": chart["postgresqlDatabase"],
            "params": chart["postgresqlParams"],
        }
    # The host, which a deployment decides, is given to all three by Terraform.
    outputs = (DEPLOY / "terraform" / "outputs.tf").read_text()
    (values,) = re.findall(r'output "helm_values" \{\n(.*?)^\}', outputs, re.MULTILINE | re.DOTALL)
    assert re.findall(
        r"(\w+) += \{ config = \{ postgres_db = \{ hostname = local.database_host \}", values
    ) == [*asked]
    assert "postgresqlHost = local.database_host" in values


def test_dagster_accepts_each_section_of_the_instance() -> None:
    given = {**VALUES["additionalInstanceConfig"], "telemetry": VALUES["telemetry"]}
    checked = process_config(dagster_instance_config_schema(), given)
    assert checked.success, [error.message for error in checked.errors or []]
    wrong = process_config(dagster_instance_config_schema(), {**given, "run_monitoring": {"enable": True}})
    assert not wrong.success


def test_each_pod_runs_as_the_account_of_the_image_and_writes_what_is_mounted() -> None:
    account = re.search(r"^USER (\d+):(\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert account
    pods = {name: (pod["podSecurityContext"], pod) for name, pod in PODS.items()}
    pods["run"] = (RUN["runK8sConfig"]["podSpecConfig"]["securityContext"], RUN)
    for name, (context, pod) in pods.items():
        assert context["runAsNonRoot"] is True, name
        assert (context["runAsUser"], context["runAsGroup"]) == (int(account[1]), int(account[2]))
        own = pod["securityContext"]
        assert own["readOnlyRootFilesystem"] is True and own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        mounted = {mount["mountPath"]: mount["name"] for mount in pod["volumeMounts"]}
        assert {"/tmp", "/var/lib/myproperty", "/opt/dagster/storage"} <= mounted.keys(), name
        assert set(mounted.values()) == {volume["name"] for volume in pod["volumes"]}, name
        assert pod["resources"]["limits"]["memory"] and "memory" in pod["resources"]["requests"]


def test_only_code_and_runs_get_the_secrets_of_the_platform() -> None:
    assert CODE["envSecrets"] == RUN["envSecrets"] == [{"name": "myproperty-platform"}]
    for name in ("webserver", "daemon"):
        assert "envSecrets" not in PODS[name]
    assert VALUES["generatePostgresqlPasswordSecret"] is False
    assert "postgresqlPassword" not in VALUES["postgresql"]


def test_the_pages_have_no_address_and_are_closed_but_for_the_login() -> None:
    assert VALUES["dagsterWebserver"]["service"] == {"type": "ClusterIP", "port": 3000}
    assert "ingress" not in VALUES
    policies = {
        policy["metadata"]["name"]: policy["spec"]
        for policy in yaml.safe_load_all((HELM / "network-policies.yaml").read_text())
    }
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    pages = policies["login-to-webserver"]
    assert pages["podSelector"]["matchLabels"] == {"component": "dagster-webserver"}
    (rule,) = pages["ingress"]
    login = {"app.kubernetes.io/name": "oauth2-proxy"}
    assert rule["from"] == [{"podSelector": {"matchLabels": login}}]
    assert [port["port"] for port in rule["ports"]] == [VALUES["dagsterWebserver"]["service"]["port"]]
    code = policies["dagster-to-code-location"]["ingress"]
    assert [port["port"] for port in code[0]["ports"]] == [CODE["port"]]
    settings = read_yaml(HELM / "login.yaml")["config"]["configFile"]
    assert 'upstreams = ["http://myproperty-webserver:3000"]' in settings
    assert 'email_domains = ["*"]' not in settings.replace('`email_domains = ["*"]`', "")


def test_each_probe_of_the_pages_asks_their_port() -> None:
    # Where we give none, the chart keeps its own, which asks port 80.
    pages = VALUES["dagsterWebserver"]
    asked = [pages[name]["httpGet"]["port"] for name in ("readinessProbe", "livenessProbe", "startupProbe")]
    assert asked == [pages["service"]["port"]] * 3


def test_the_login_has_an_ingress_that_google_serves() -> None:
    # Google's controller takes no action on an ingress with a class name and without this annotation.
    ingress = read_yaml(HELM / "login.yaml")["ingress"]
    assert ingress["annotations"]["kubernetes.io/ingress.class"] == "gce"
    assert "className" not in ingress


def test_the_chart_is_the_one_of_the_locked_dagster() -> None:
    locked = re.search(r"^dagster==(\S+)", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE)
    assert locked and locked[1] == CHART_VERSION
