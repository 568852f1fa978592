"""The statements that our own code sent to a server of BigQuery, for the analyzer; dbt's are in leg 1."""

import itertools
import re
from collections.abc import Iterable

from google.cloud import bigquery

from .engine import Column, GoogleSqlError, Relation, analyse, type_name

# dbt ends each statement with the labels of its node.
OF_DBT = re.compile(r"/\*\s*\{[^{}]*\}\s*\*/\s*;?\s*$")
# Rows to be merged are loaded beside their table, and dropped.
CHANGED = re.compile(r"^(?P<table>\w+)_changed_[0-9a-f]{16}$")


def list_statements(client: bigquery.Client) -> set[str]:
    """Return the text of each query job of this server that ended well and was not dbt's."""
    return {
        job.query
        for job in client.list_jobs()
        if isinstance(job, bigquery.QueryJob) and job.error_result is None and not OF_DBT.search(job.query)
    }


def list_relations(client: bigquery.Client, statements: Iterable[str]) -> list[Relation]:
    """Return the tables and views of the server, and the dropped ones of rows that were merged."""
    found: dict[tuple[str, str, str], Relation] = {}
    for dataset in client.list_datasets():
        for listed in client.list_tables(dataset.dataset_id):
            table = client.get_table(listed.reference)
            columns = tuple(Column(field.name, type_name(field.field_type)) for field in table.schema)
            path = (table.project, table.dataset_id, table.table_id)
            found[path] = Relation(path, columns)
    named = {
        (project, dataset, table)
        for statement in statements
        for project, dataset, table in re.findall(r"`(\w+)\.(\w+)\.(\w+)`", statement)
    }
    for project, dataset, table in named - found.keys():
        if (changed := CHANGED.match(table)) and (of := found.get((project, dataset, changed["table"]))):
            found[project, dataset, table] = Relation((project, dataset, table), of.columns)
    return list(found.values())


def _split_transaction(statement: str) -> list[str]:
    """Return the statements of a transaction, which the analyzer takes one by one."""
    found = re.fullmatch(r"begin transaction; (.*); commit transaction", statement, re.DOTALL)
    return found[1].split("; ") if found else [statement]


def find_refusals(client: bigquery.Client, statements: Iterable[str]) -> list[str]:
    """Return what Google's analyzer refuses of the statements, each with its own words."""
    relations = list_relations(client, statements)
    datasets = "|".join(sorted({relation.path[1] for relation in relations}))
    without_project = re.compile(rf"(?<![.`\w])({datasets})\.(\w+)")
    refused = []
    for statement in itertools.chain.from_iterable(map(_split_transaction, statements)):
        # The analyzer's catalog has full names; BigQuery takes the client's project and one pair of quotes.
        sql = re.sub(r"`(\w+)\.(\w+)\.(\w+)`", r"`\1`.`\2`.`\3`", statement)
        sql = without_project.sub(rf"`{client.project}`.`\1`.`\2`", sql)
        try:
            analyse(sql, [relation for relation in relations if relation.quoted in sql])
        except GoogleSqlError as error:
            refused.append(f"{error}\n{statement}")
    return refused
