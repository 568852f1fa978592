"""Connect a BigQuery client to Google's service, or to an endpoint without accounts such as the emulator."""

import base64
import json
from collections.abc import Mapping

import google.auth
from google.api_core.client_options import ClientOptions
from google.auth import impersonated_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import bigquery
from google.oauth2 import credentials as oauth2

from myproperty.engines.errors import EngineError


def bigquery_client(
    endpoint: str | None,
    project: str,
    location: str | None,
    account: str | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    maximum_bytes_billed: int | None = None,
) -> bigquery.Client:
    """Return a client of the server at `endpoint`, or of Google for None; its jobs have the `labels`.

    A query that would bill more than `maximum_bytes_billed` fails before it costs anything.

    At Google it acts as the service account `account`, which the machine's own credentials have to be allowed
    to impersonate; None: as the machine's own. Any other endpoint believes the account that it is given, and
    has no Storage API beside it: read with `create_bqstorage_client=False`. Raises `EngineError` if the
    machine has no credentials.
    """

    of_queries = bigquery.QueryJobConfig(labels=dict(labels or {}))
    if maximum_bytes_billed is not None:
        of_queries.maximum_bytes_billed = maximum_bytes_billed

    def connect(credentials: Credentials, options: ClientOptions | None = None) -> bigquery.Client:
        return bigquery.Client(
            project=project,
            location=location,
            credentials=credentials,
            client_options=options,
            default_query_job_config=of_queries,
            default_load_job_config=bigquery.LoadJobConfig(labels=dict(labels or {})),
        )

    if endpoint is not None:
        nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
        asking = nobody if account is None else _say_who_asks(account)
        return connect(asking, ClientOptions(api_endpoint=endpoint))
    try:
        own, _ = google.auth.default(scopes=bigquery.Client.SCOPE)
    except DefaultCredentialsError as error:
        raise EngineError(
            "this machine has no Google credentials: run `gcloud auth application-default login`, or name "
            "the file of a key in GOOGLE_APPLICATION_CREDENTIALS"
        ) from error
    return connect(own if account is None else _act_as(account, own))


def _say_who_asks(account: str) -> Credentials:
    """Return a token that nobody signed: the emulator takes the address from it."""
    claims = base64.urlsafe_b64encode(json.dumps({"email": account}).encode()).decode().rstrip("=")
    return oauth2.Credentials(f"unsigned.{claims}.unsigned")  # type: ignore[no-untyped-call]


def _act_as(account: str, own: Credentials) -> impersonated_credentials.Credentials:
    return impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
        source_credentials=own, target_principal=account, target_scopes=bigquery.Client.SCOPE
    )
