"""Measure the cost of row-level security and triggers for calls, and of partitions for the planner.

Both sides of a ratio are measured in the same run, by pgbench over TCP as the same login, on the same rows:
`bench_plain` has copies of the tables with the same indexes and foreign keys, without policies and triggers.
"""

import os
import secrets
import subprocess
import tempfile
import uuid
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import psycopg
from psycopg import ClientCursor, sql
from psycopg.conninfo import conninfo_to_dict

from benchmarks.measurement import Measurement
from myproperty import engines
from myproperty.database.roles import APP_ROLE
from myproperty.engines.postgres import wheel_binaries
from myproperty.settings import Settings

SCRIPTS = Path(__file__).parent / "pgbench"
CALLS = {
    "read_invoice": "read an invoice with its lines",
    "read_overdue_invoices": "read the overdue invoices of a tenant",
    "read_day_of_meter": "read a day of a meter",
    "read_open_tickets": "read the open tickets of a property",
    "add_activity": "add an activity to a ticket",
    "update_ticket": "update a ticket",
}
LOGIN = "bench_login"
SECURED, PLAIN = "myproperty", "bench_plain"
COPIED = (
    "tenants", "properties", "units", "users", "invoices", "invoice_lines", "service_tickets",
    "ticket_activities",
)  # fmt: skip
# Rows of each tenant; the tenant that is measured is number 0.
SIZES = {"tenants": 20, "properties": 20, "meters": 10, "rows": 500}
ROUNDS = 10
READS, WRITES = 600, 150
FIRST_DAY, DAYS = date(2026, 1, 1), 7
FEW_PARTITIONS, MANY_PARTITIONS = 30, 1_500
PLANNING_LIMIT_S = 0.005
# An attached partition is locked until its transaction ends.
PARTITIONS_A_TRANSACTION = 50

# Foreign keys and triggers rest meanwhile: what is measured comes later.
FILL = """
    set local session_replication_role = replica;
    create function pg_temp.key(kind integer, number bigint) returns uuid immutable language sql
    return ('0000000' || kind || '-0000-7000-8000-' || lpad(number::text, 12, '0'))::uuid;
    create temporary table n on commit drop as
    select i, pg_temp.key(1, i % 20) as tenant, pg_temp.key(2, i % 400) as property
    from generate_series(0, 9999) as i;

    insert into myproperty.tenants (id, name, region) select tenant, i, 'AU' from n where i < 20;
    insert into myproperty.properties (id, tenant_id, name, timezone)
    select property, tenant, 'House ' || i, 'UTC' from n where i < 400;
    insert into myproperty.units (id, tenant_id, property_id, label)
    select pg_temp.key(3, i), tenant, property, i from n;
    insert into myproperty.users (id, tenant_id, email, role)
    select pg_temp.key(5, i), tenant, i || '@bench.example', 'resident' from n;
    insert into myproperty.invoices
        (id, tenant_id, number, tenant_user_id, billing_period, status, total_amount, currency, issued_at,
         due_at)
    select pg_temp.key(6, i), tenant, i, pg_temp.key(5, i), '[2026-01-01,2026-02-01)',
           case when i / 20 % 25 = 0 then 'overdue' else 'paid' end, 4, 'AUD', '2026-02-01',
           '2026-02-15'::timestamptz + i * interval '1 minute'
    from n;
    insert into myproperty.invoice_lines
        (tenant_id, invoice_id, line_number, description, category, quantity, unit_amount, total_amount)
    select tenant, pg_temp.key(6, i), line, 'Service', 'service', 1, 1, 1
    from n, generate_series(1, 4) as line;
    insert into myproperty.ledger_accounts (tenant_id, code, name, kind)
    select tenant, code, code, kind
    from n, (values ('receivables', 'asset'), ('services', 'income')) as a (code, kind) where i < 20;
    insert into myproperty.ledger_entries
        (tenant_id, entry_date, debit_account, credit_account, amount, currency, reference_type, reference_id,
         description)
    select tenant, '2026-02-01', 'receivables', 'services', 4, 'AUD', 'invoice', pg_temp.key(6, i), 'Invoice'
    from n;
    insert into myproperty.service_tickets
        (id, tenant_id, property_id, unit_id, opened_by, status, summary, description, category, resolved_at)
    select pg_temp.key(7, i), tenant, property, pg_temp.key(3, i), pg_temp.key(5, i),
           case when i / 400 % 2 = 0 then 'open' else 'closed' end, 'Tap drips', 'In flat ' || i, 'plumbing',
           case when i / 400 % 2 = 1 then now() end
    from n;
    insert into myproperty.ticket_activities (tenant_id, ticket_id, kind, user_id, body)
    select tenant, pg_temp.key(7, i), 'note', pg_temp.key(5, i), 'Rang.' from n, generate_series(1, 3);
    insert into myproperty.meter_readings
        (tenant_id, meter_id, channel, reading_ts, reading_date, interval_seconds, value_native, unit,
         value_kwh, quality, is_estimated, source, source_version, ingestion_job_id)
    select tenant, pg_temp.key(4, i), 'import',
           '2026-01-01 00:00+00'::timestamptz + q * interval '15 minutes',
           '2026-01-01'::date + q / 96, 900, 0.25, 'kWh', 0.25, 'actual', false, 'bench', now(), tenant
    from n, generate_series(0, 7 * 96 - 1) as q where i < 200;
"""


def measure_policies(settings: Settings) -> list[Measurement]:
    """Measure each call with policies and triggers: calls per second, and the ratio to its time without."""
    dsn = engines.dsn(settings)
    password = secrets.token_urlsafe(24)
    fill(dsn)
    _copy_without_policies(dsn)
    make_login(dsn, password)
    _grant_copies(dsn)
    found = []
    for script, name in CALLS.items():
        times: dict[str, list[float]] = {SECURED: [], PLAIN: []}
        for turn in range(ROUNDS):
            # Which comes first alternates, so that neither always finds the caches warm.
            for schema in (SECURED, PLAIN) if turn % 2 else (PLAIN, SECURED):
                times[schema] += _pgbench(dsn, password, script, schema)
        # Of single calls: what the rest of the machine does hits a few of them, and not the median.
        secured, plain = median(times[SECURED]), median(times[PLAIN])
        found.append(
            Measurement(
                f"{name}, under policies and triggers",
                rows_per_s=1 / secured,
                seconds=secured,
                ratio_to={"the time without policies and triggers": secured / plain},
            )
        )
    return found


def measure_partitions(settings: Settings) -> list[Measurement]:
    """Measure the planning of a meter's readings of a day, with few partitions and with many."""
    dsn = engines.dsn(settings)
    planning = {}
    for count in (FEW_PARTITIONS, MANY_PARTITIONS):
        make_partitions(dsn, count)
        planning[count] = _planning_seconds(dsn)
    few, many = planning.values()
    return [
        Measurement(f"plan a day of a meter, {FEW_PARTITIONS} partitions", seconds=few),
        Measurement(
            f"plan a day of a meter, {MANY_PARTITIONS:,} partitions",
            seconds=many,
            ratio_to={f"the time with {FEW_PARTITIONS}": many / few},
        ),
        Measurement(
            "plan a day of a meter, what the partitions between add",
            seconds=many - few,
            ratio_to={"the limit of 5 ms": (many - few) / PLANNING_LIMIT_S},
        ),
    ]


def fill(dsn: str) -> None:
    """Fill the tables of the calls with the rows of `SIZES`."""
    make_partitions(dsn, DAYS)
    with psycopg.connect(dsn) as connection:
        connection.execute(FILL.encode())


def _copy_without_policies(dsn: str) -> None:
    """Copy the tables with their rows, indexes, checks and the foreign keys among them."""
    with psycopg.connect(dsn) as connection:
        connection.execute("create schema bench_plain")
        for table in COPIED:
            target, source = sql.Identifier(PLAIN, table), sql.Identifier(SECURED, table)
            connection.execute(sql.SQL("create table {} (like {} including all)").format(target, source))
            columns = sql.SQL(", ").join(map(sql.Identifier, _stored_columns(connection, table)))
            connection.execute(
                sql.SQL("insert into {} ({}) select {} from {}").format(target, columns, columns, source)
            )
        connection.execute(
            "create table bench_plain.meter_readings (like myproperty.meter_readings including all) "
            "partition by list (reading_date)"
        )
        for day in _days(DAYS):
            connection.execute(
                sql.SQL("create table {} partition of bench_plain.meter_readings for values in ({})").format(
                    sql.Identifier(PLAIN, f"meter_readings_{day:%Y%m%d}"), sql.Literal(day)
                )
            )
        connection.execute(
            "insert into bench_plain.meter_readings select * from myproperty.meter_readings "
            "where reading_date = any(%s)",
            (_days(DAYS),),
        )
        for table, name, definition in _foreign_keys(connection):
            connection.execute(
                sql.SQL("alter table {} add constraint {} {}").format(
                    sql.Identifier(PLAIN, table), sql.Identifier(name), sql.SQL(definition)
                )
            )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def _stored_columns(connection: psycopg.Connection, table: str) -> list[str]:
    query = """
        select attname from pg_attribute
        where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = ''
    """
    return [row[0] for row in connection.execute(query, (f"{SECURED}.{table}",))]


def _foreign_keys(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """Return table, name and definition of the foreign keys among the copied tables."""
    query = """
        select conrelid::regclass::text, conname,
               replace(pg_get_constraintdef(oid), %(secured)s || '.', %(plain)s || '.')
        from pg_constraint
        where contype = 'f'
          and conrelid = any(%(tables)s::regclass[]) and confrelid = any(%(tables)s::regclass[])
    """
    tables = [f"{SECURED}.{table}" for table in COPIED]
    rows = connection.execute(query, {"secured": SECURED, "plain": PLAIN, "tables": tables}).fetchall()
    return [(table.partition(".")[2], name, definition) for table, name, definition in rows]


def make_login(dsn: str, password: str) -> None:
    """Make a login that acts as the application."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            sql.SQL("create role {} login password {} in role {}").format(
                sql.Identifier(LOGIN), sql.Literal(password), sql.Identifier(APP_ROLE)
            )
        )


def _grant_copies(dsn: str) -> None:
    login = sql.Identifier(LOGIN)
    with psycopg.connect(dsn) as connection:
        connection.execute(sql.SQL("grant usage on schema bench_plain to {}").format(login))
        connection.execute(
            sql.SQL("grant select, insert, update on all tables in schema bench_plain to {}").format(login)
        )


def _pgbench(dsn: str, password: str, script: str, schema: str) -> list[float]:
    """Return the seconds of each prepared call of one session, as the client measures them."""
    calls = READS if script.startswith("read_") else WRITES
    with tempfile.TemporaryDirectory(prefix="pgbench-") as name:
        folder = Path(name)
        command = pgbench_command(dsn, [script], schema, folder, f"--transactions={calls}")
        environment = pgbench_environment(password, schema)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = read_seconds(folder)
    if done.returncode or len(seconds) != calls:
        raise RuntimeError(f"pgbench failed at {script} in {schema}: {done.stdout}{done.stderr}")
    return seconds


def pgbench_command(dsn: str, scripts: Iterable[str], schema: str, folder: Path, *words: str) -> list[str]:
    """Return the command that makes calls and logs each of them in the folder."""
    server = conninfo_to_dict(dsn)
    variables = {**SIZES, "tenant": _key(1), "user": _key(5)}
    files = []
    for script in scripts:
        files.append(folder / f"{script}.sql")
        files[-1].write_text(_statements(script, schema))
    return [
        str(wheel_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared", *words,
        "--log", f"--log-prefix={folder}/calls", *(f"--file={file}" for file in files),
        *(f"--define={name}={value}" for name, value in variables.items()),
        f"--host={server['host']}", f"--port={server['port']}", f"--username={LOGIN}",
        str(server["dbname"]),
    ]  # fmt: skip


def pgbench_environment(password: str, schema: str) -> dict[str, str]:
    """Return the environment of `pgbench_command`: a session of the tenant that is measured."""
    options = f"-c search_path={schema} -c app.tenant_id={_key(1)} -c app.user_id={_key(5)}"
    return {**os.environ, "PGPASSWORD": password, "PGOPTIONS": options}


def read_seconds(folder: Path) -> list[float]:
    """Return the seconds of each logged call. A line has: client, call, microseconds, ..."""
    logs = [log.read_text() for log in folder.glob("calls.*")]
    return [int(line.split()[2]) / 1e6 for log in logs for line in log.splitlines()]


def _statements(script: str, schema: str) -> str:
    """Return the SQL of a call: without policies it must name the tenant."""
    lines = (SCRIPTS / f"{script}.sql").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if schema == PLAIN or "-- without policies" not in line)


def make_partitions(dsn: str, count: int) -> None:
    """Make the missing partitions of the first `count` days."""
    days = _days(count)
    with psycopg.connect(dsn) as connection:
        for start in range(0, count, PARTITIONS_A_TRANSACTION):
            connection.execute(
                "select myproperty.ensure_readings_partition(day) from unnest(%s::date[]) as day",
                (days[start : start + PARTITIONS_A_TRANSACTION],),
            )
            connection.commit()


def _planning_seconds(dsn: str, times: int = 200) -> float:
    """Return the median planning time after the session has read its partitions."""
    query = """
        explain (summary, format json) select * from myproperty.meter_readings
        where meter_id = %s and reading_date = %s order by reading_ts
    """
    # Values as literals, as an application sends them that does not prepare.
    with psycopg.connect(dsn, cursor_factory=ClientCursor) as connection:
        connection.execute(f"set local role {APP_ROLE}")
        connection.execute("select set_config('app.tenant_id', %s, true)", (str(_key(1)),))
        plans = [connection.execute(query, (_key(4), FIRST_DAY)).fetchall() for _ in range(times + 20)]
    return median(float(plan[0][0][0]["Planning Time"]) / 1000 for plan in plans[20:])


def _days(count: int) -> list[date]:
    return [FIRST_DAY + timedelta(days=day) for day in range(count)]


def _key(kind: int) -> uuid.UUID:
    """Return the id that `FILL` gives the first row of a kind."""
    return uuid.UUID(f"0000000{kind}-0000-7000-8000-000000000000")
