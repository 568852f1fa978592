"""The channels: Slack, e-mail and a webhook, sent by apprise; and the sending of what waits in the outbox.

The addresses are secrets: no message, log or status contains one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import SecretStr

from dagster_project.alerts.messages import Alert
from dagster_project.alerts.outbox import Outbox, WaitingMessage
from dagster_project.alerts.text import clean
from myproperty.errors import PlatformError
from myproperty.settings import Settings

if TYPE_CHECKING:
    from apprise import NotifyBase

# The kinds of address of each channel. apprise knows others, such as programs of this machine.
SCHEMES = {
    "slack": ("slack", "https"),
    "email": ("mailto", "mailtos"),
    "webhook": ("http", "https"),
}
# A tick of a sensor has a minute: no new attempt begins after these seconds.
SECONDS_PER_TICK = 40
MESSAGES_PER_TICK = 50
_TIMEOUT_SECONDS = 10
_LOGGER = logging.getLogger("apprise")
_HTTP_LOGGERS = (logging.getLogger("urllib3.connectionpool"), logging.getLogger("urllib3.util.retry"))


class AlertChannelError(PlatformError):
    """The address of a channel is not valid; the message names the setting, never the address."""


def channel_addresses(settings: Settings) -> dict[str, SecretStr]:
    """Return the address of each channel that is set, by the name of the channel."""
    found = {
        "slack": settings.alert_slack_url,
        "email": settings.alert_email_url,
        "webhook": settings.alert_webhook_url,
    }
    return {name: address for name, address in found.items() if address is not None}


def open_outbox(settings: Settings) -> Outbox:
    """Return the outbox of an environment."""
    return Outbox(settings.home / "alerts.sqlite", settings.alert_quiet_minutes)


def send_waiting(settings: Settings) -> dict[str, int]:
    """Send the messages that are due; return how many were `sent` and `failed`.

    A channel that fails is left alone until the next call, so that it does not hold up the others. Messages
    of a channel that is not set any more wait until it is set again.
    """
    outbox, addresses = open_outbox(settings), channel_addresses(settings)
    counts = {"sent": 0, "failed": 0}
    failed: set[str] = set()
    end = time.monotonic() + SECONDS_PER_TICK
    for message in outbox.waiting(datetime.now(UTC), list(addresses), MESSAGES_PER_TICK):
        if time.monotonic() > end:
            break
        if message.channel in failed:
            continue
        error = send_message(message.channel, addresses[message.channel], message)
        if error is None:
            outbox.record_sent(message.id, datetime.now(UTC))
            counts["sent"] += 1
        else:
            outbox.record_failure(message, error, datetime.now(UTC))
            failed.add(message.channel)
            counts["failed"] += 1
    return counts


def send_alert(channel: str, address: SecretStr, alert: Alert) -> str | None:
    """Send an alert at once, past the outbox; return None, or the reason of the failure."""
    message = WaitingMessage(0, channel, alert.title, alert.body, alert.level, alert.fields, 0)
    return send_message(channel, address, message)


def send_message(channel: str, address: SecretStr, message: WaitingMessage) -> str | None:
    """Send one message; return None, or the reason of the failure without the address."""
    from apprise import NotifyFormat, NotifyType

    try:
        service = open_service(channel, address)
        if channel == "webhook":
            # The facts beside the text, for programs.
            vars(service)["payload_extras"] = {"alert": message.fields}
        with _collect_warnings() as reasons:
            sent = service.notify(
                body=message.body,
                title=message.title,
                notify_type=NotifyType(message.level),
                body_format=NotifyFormat.TEXT,
            )
    except AlertChannelError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 (a library's error must not stop the other channels)
        return type(error).__name__
    if sent:
        return None
    reason = clean(_without_address("; ".join(reasons), address))
    return reason or "the message was not accepted"


def open_service(channel: str, address: SecretStr) -> NotifyBase:
    """Return the service of apprise for an address. Raises AlertChannelError."""
    from apprise import Apprise

    url = address.get_secret_value().strip()
    scheme = urlsplit(url).scheme.lower()
    is_slack = channel != "slack" or scheme == "slack" or urlsplit(url).hostname in _SLACK_HOSTS
    if scheme not in SCHEMES[channel] or not is_slack:
        raise AlertChannelError(_describe_address(channel))
    if channel == "webhook":
        url = _to_json_address(url)
    options = "&" if "?" in url else "?"
    url += f"{options}format=text&overflow=truncate&rto={_TIMEOUT_SECONDS}&cto={_TIMEOUT_SECONDS}"
    with _collect_warnings():
        service = Apprise.instantiate(url, suppress_exceptions=True)
    if service is None:
        raise AlertChannelError(_describe_address(channel))
    return service


def _to_json_address(url: str) -> str:
    """Return apprise's form of an http(s) URL; it sends only those parameters that a minus begins."""
    split = urlsplit(url)
    query = urlencode([(f"-{name}", value) for name, value in parse_qsl(split.query, keep_blank_values=True)])
    return split._replace(scheme=split.scheme.lower().replace("http", "json"), query=query).geturl()


_SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
_FORMS = {
    "slack": "the incoming webhook of Slack, https://hooks.slack.com/services/...",
    "email": "mailtos://USER:PASSWORD@HOST:PORT?from=FROM&to=TO",
    "webhook": "an https:// URL that takes JSON",
}


def _describe_address(channel: str) -> str:
    return f"MYPROPERTY_ALERT_{channel.upper()}_URL is not valid: give {_FORMS[channel]}"


def _without_address(text: str, address: SecretStr) -> str:
    """Return the text without any part of the address: host, path, logins."""
    for part in sorted(_parts(address.get_secret_value()), key=len, reverse=True):
        text = text.replace(part, "[address]")
    return text


def _parts(url: str) -> set[str]:
    split = urlsplit(url)
    found = {url, split.netloc, split.path, split.query, split.username, split.password, split.hostname}
    found |= set(split.path.split("/"))
    return {part for part in found if part and len(part) >= 4}


class _Collector(logging.Filter):
    """Keep the text of each record and stop the record."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        self.lines.append(record.getMessage())
        return False


@contextmanager
def _collect_warnings() -> Iterator[list[str]]:
    """Collect the warnings of apprise and HTTP; none reaches a log, since they contain addresses."""
    collector = _Collector()
    levels = {logger: logger.level for logger in (_LOGGER, *_HTTP_LOGGERS)}
    for logger in levels:
        logger.setLevel(logging.WARNING)
        logger.addFilter(collector)
    try:
        yield collector.lines
    finally:
        for logger, level in levels.items():
            logger.removeFilter(collector)
            logger.setLevel(level)
