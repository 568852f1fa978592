"""Commands for the systems that watch the platform."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from commands import console
from commands.options import reports_errors
from myproperty.settings import get_settings


@reports_errors
def prometheus(
    file: Annotated[
        Path | None, typer.Option(help="Write to this file, `NAME.prom`, instead of the output.")
    ] = None,
    serve: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve them on 127.0.0.1 until Ctrl-C, on this port.")
    ] = None,
) -> None:
    """Print the metrics of the platform in Prometheus' format: runs, gates, files, issues, pending dates."""
    if file and serve:
        raise typer.BadParameter("give --file or --serve, not both")
    from dagster_project.prometheus import ADDRESS, format_metrics, serve_metrics, write_metrics

    settings = get_settings()
    if file:
        write_metrics(settings, file)
        console.out.print(f"The metrics are in {file}", soft_wrap=True)
    elif serve:
        server = serve_metrics(settings, serve)
        console.out.print(f"Metrics: http://{ADDRESS}:{serve}/metrics")
        _wait_for_interrupt()
        server.shutdown()
    else:
        sys.stdout.write(format_metrics(settings))


def _wait_for_interrupt() -> None:
    import threading

    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return
