"""Commands for alerts: what waits in each channel, a test message."""

from datetime import UTC, datetime

import typer

from commands import console
from commands.options import AsJson, reports_errors
from myproperty.settings import get_settings

app = typer.Typer(no_args_is_help=True, help="Messages to Slack, e-mail and a webhook.")
_CHANNELS = ("slack", "email", "webhook")


@app.command()
@reports_errors
def status(json: AsJson = False) -> None:
    """Show each channel: whether it is set, unsent messages and their last error; and what is not mended."""
    from dagster_project.alerts.channels import channel_addresses, open_outbox

    settings = get_settings()
    addresses, outbox = channel_addresses(settings), open_outbox(settings)
    kept = outbox.status()
    nothing = dict.fromkeys(("unsent", "unsent_since", "attempts", "last_sent_at", "last_error"))
    rows = [
        {"channel": name, "is_set": name in addresses, **{**nothing, "unsent": 0}, **kept.get(name, {})}
        for name in _CHANNELS
    ]
    causes = outbox.open_causes()
    if json:
        console.print_json({"channels": rows, "open": causes})
        return
    console.print_table("Channels", rows)
    console.print_table(
        "Not mended", [{name: cause[name] for name in ("title", "said_at", "held")} for cause in causes]
    )


@app.command()
@reports_errors
def test(json: AsJson = False) -> None:
    """Send a test message to each channel that is set, and report what came of it."""
    from dagster_project.alerts.channels import AlertChannelError, channel_addresses, send_alert
    from dagster_project.alerts.messages import compose_test

    addresses = channel_addresses(get_settings())
    if not addresses:
        raise AlertChannelError(
            "no channel is set: set MYPROPERTY_ALERT_SLACK_URL, MYPROPERTY_ALERT_EMAIL_URL or"
            " MYPROPERTY_ALERT_WEBHOOK_URL (docs/settings.md)"
        )
    alert = compose_test(datetime.now(UTC))
    errors = {name: send_alert(name, address, alert) for name, address in addresses.items()}
    rows = [
        {"channel": name, "result": "failed" if error else "sent", "error": error}
        for name, error in errors.items()
    ]
    if json:
        console.print_json(rows)
    else:
        console.print_table("Test message", rows)
    if any(errors.values()):
        raise typer.Exit(1)


@app.command()
@reports_errors
def send(json: AsJson = False) -> None:
    """Send the messages that wait now, without waiting for the next attempt of the sensor."""
    from dagster_project.alerts.channels import open_outbox, send_waiting

    settings = get_settings()
    open_outbox(settings).make_due()
    counts = send_waiting(settings)
    if json:
        console.print_json(counts)
    else:
        console.print_table("Messages", [counts])
    if counts["failed"]:
        raise typer.Exit(1)
