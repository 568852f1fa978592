"""Assemble the command `myproperty` from its groups, in the order in which `--help` lists them."""

import typer

from commands import (
    alerts,
    backups,
    billing,
    dashboards,
    demo,
    doctor,
    engines,
    files,
    issues,
    keys,
    metrics,
    monitoring,
    partitions,
    pipeline,
    quality,
    quarantine,
    warehouse,
)

# Everything behind the name of the command goes to another program, options included.
PASS_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Meter files to marts.")
app.command()(engines.up)
app.command()(engines.down)
app.command()(engines.status)
app.command()(doctor.doctor)
app.command("dsn")(engines.print_dsn)
app.command()(engines.migrate)
app.command()(backups.backup)
app.command()(backups.backups)
app.command()(backups.restore)
app.command()(files.inspect)
app.command()(files.ingest)
app.command()(pipeline.run)
app.command()(pipeline.reload)
app.command()(warehouse.query)
app.command()(pipeline.pending)
app.command()(pipeline.gates)
app.command()(quality.quality)
app.command()(pipeline.quality_docs)
app.command()(monitoring.prometheus)
app.command()(pipeline.validate)
app.command()(demo.demo)
app.command(context_settings=PASS_ARGUMENTS)(warehouse.dbt)
app.command()(pipeline.dev)
app.command()(dashboards.bi)
app.add_typer(metrics.app, name="metrics")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(billing.app, name="billing")
app.add_typer(keys.app, name="keys")
app.add_typer(issues.app, name="issues")
app.add_typer(partitions.app, name="partitions")
app.add_typer(alerts.app, name="alerts")


if __name__ == "__main__":
    app()
