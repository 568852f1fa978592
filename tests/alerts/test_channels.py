"""Each channel sends to a real server; one that fails is visible, loses nothing and holds up no other."""

import email
import email.policy
import json
import logging
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from commands.main import app
from dagster_project.alerts import channels
from dagster_project.alerts.messages import Alert, compose_failure
from dagster_project.broken_rules import RuleReport
from myproperty.settings import Settings, get_settings
from tests.alerts.conftest import Mail, Web

HOSTILE = "<!channel> <script>x</script> *bold* &amp; @here"


def hostile_alert() -> Alert:
    report = RuleReport("A-READINGS-004", "meter_readings", "no row", HOSTILE, "ingest again")
    return compose_failure("pipeline", "run-1", [date(2026, 10, 1)], [report])


def settings_for(home: Path, web: Web, mail: Mail) -> Settings:
    return Settings(
        home=home,
        alert_slack_url=SecretStr(
            "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
        ),
        alert_email_url=SecretStr(f"mailto://127.0.0.1:{mail.port}?from=a@example.org&to=b@example.org"),
        alert_webhook_url=SecretStr(f"http://127.0.0.1:{web.port}/hook/s3cretpath?token=s3crettoken"),
    )


@pytest.fixture
def settings(tmp_path: Path, web: Web, mail: Mail, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("apprise.plugins.slack.NotifySlack.webhook_url", f"http://127.0.0.1:{web.port}/slack")
    monkeypatch.setattr("apprise.plugins.base.NotifyBase.request_rate_per_sec", 0)
    monkeypatch.setattr("apprise.plugins.slack.NotifySlack.request_rate_per_sec", 0)
    return settings_for(tmp_path, web, mail)


def add(settings: Settings) -> None:
    names = list(channels.channel_addresses(settings))
    assert channels.open_outbox(settings).add(hostile_alert(), names, datetime.now(UTC))


def test_every_channel_gets_the_message_and_escapes_it(settings: Settings, web: Web, mail: Mail) -> None:
    add(settings)
    assert channels.send_waiting(settings) == {"sent": 3, "failed": 0}
    documents = dict(web.received)
    slack = json.dumps(next(value for path, value in documents.items() if path.startswith("/slack")))
    assert "&lt;!channel&gt;" in slack and "<!channel>" not in slack
    hook = documents["/hook/s3cretpath?token=s3crettoken"]
    assert hook["alert"]["rules"][0]["observed"] == HOSTILE
    assert hook["alert"]["mend"] == "myproperty run --from 2026-10-01 --to 2026-10-01"
    message = email.message_from_string(mail.received[0], policy=email.policy.default)
    assert message.get_content_type() == "text/plain"
    assert "A-READINGS-004" in str(message["subject"])
    assert "observed: <!channel>" in message.get_content()


def test_a_failing_channel_holds_up_no_other_and_sends_later(
    settings: Settings, web: Web, mail: Mail, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    web.status = 500
    add(settings)
    assert channels.send_waiting(settings) == {"sent": 1, "failed": 2}
    assert len(mail.received) == 1
    kept = channels.open_outbox(settings).status()["webhook"]
    assert kept["unsent"] == 1 and "500" in kept["last_error"]
    assert channels.send_waiting(settings) == {"sent": 0, "failed": 0}, "the next attempt is in a minute"
    web.status = 200
    channels.open_outbox(settings).make_due()
    assert channels.send_waiting(settings) == {"sent": 2, "failed": 0}
    assert "s3cret" not in caplog.text + json.dumps(kept)
    assert not [record for record in caplog.records if record.name.startswith(("apprise", "urllib3"))]


def test_a_server_that_is_gone_is_an_error_without_the_address(settings: Settings) -> None:
    gone = SecretStr("http://user:s3cretword@127.0.0.1:9/s3cretpath")
    error = channels.send_alert("webhook", gone, hostile_alert())
    assert error and not any(part in error for part in ("s3cret", "127.0.0.1", "user:"))


@pytest.mark.parametrize(
    ("channel", "address"),
    [("slack", "https://evil.example/s3cret"), ("email", "windows://s3cret"), ("webhook", "syslog://s3cret")],
)
def test_an_address_of_another_kind_is_refused_without_printing_it(channel: str, address: str) -> None:
    with pytest.raises(channels.AlertChannelError) as raised:
        channels.open_service(channel, SecretStr(address))
    assert f"MYPROPERTY_ALERT_{channel.upper()}_URL" in str(raised.value) and "s3cret" not in str(
        raised.value
    )


def test_the_command_sends_a_test_message_and_shows_the_channels(
    settings: Settings, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.alert_webhook_url is not None
    monkeypatch.setenv("MYPROPERTY_HOME", str(settings.home))
    monkeypatch.setenv("MYPROPERTY_ALERT_WEBHOOK_URL", settings.alert_webhook_url.get_secret_value())
    get_settings.cache_clear()
    try:
        done = CliRunner().invoke(app, ["alerts", "test", "--json"])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout) == [{"channel": "webhook", "result": "sent", "error": None}]
        web.status = 503
        failed = CliRunner().invoke(app, ["alerts", "test"])
        assert failed.exit_code == 1 and "503" in failed.output
        add(settings)
        shown = CliRunner().invoke(app, ["alerts", "status", "--json"])
        report = json.loads(shown.stdout)
        assert {row["channel"]: row["is_set"] for row in report["channels"]} == {
            "slack": False,
            "email": False,
            "webhook": True,
        }
        assert len(report["open"]) == 1
        assert "s3cret" not in done.output + failed.output + shown.output
    finally:
        get_settings.cache_clear()
