"""What chaos, and running the platform beside a busy application, has found so far, and what mended it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A fault: what happened, how it was found, what mends it, and the test that would find it again."""

    what: str
    by: str
    mended: str
    test: str


FINDINGS = (
    Finding(
        "dbt went on building for a run that was gone",
        "kill -9 of a run",
        "children end with their parent",
        "test_children.py",
    ),
    Finding(
        "the folder in which a killed run had loaded dbt stayed for ever",
        "kill -9 of a run",
        "a folder is locked by its owner; the next run removes those that nobody holds",
        "test_own_folders.py",
    ),
    Finding(
        "an interrupt that reached `myproperty dev` alone left its web server, daemon and server of code",
        "kill -9 of `myproperty dev`",
        "the command passes one interrupt on, waits, and ends what is left",
        "test_children.py",
    ),
    Finding(
        "a run whose Dagster folder vanished ended with a traceback",
        "vanishing files of a run",
        "the error names the instance, the cause and what to do",
        "dagster/test_event_log.py",
    ),
    Finding(
        "gate B stopped a run beside an application that writes",
        "the calls of `bench --only application`",
        "a copy is compared with what its source was when it was copied",
        "end_to_end/test_written_meanwhile.py",
    ),
)


# Of the trials that did not hold.
NOT_MENDED = (
    "Not mended: once, after a kill of the emulator of BigQuery, a table was missing that a load had written "
    "before. It was not seen in four repetitions. The emulator serves trials; `myproperty reload` loads a "
    "table again. The other trials that did not hold, and are not in this table, were faults of the trial: a "
    "message that it did not expect, too little patience on a busy machine, and a program that was started "
    "with SIGINT ignored."
)


def write_findings() -> list[str]:
    """Return the rows of the table of findings."""
    rows = [f"| {each.what} | {each.by} | {each.mended} | `{each.test}` |" for each in FINDINGS]
    return ["| Found | By | Mended | Test |", "| --- | --- | --- | --- |", *rows]
