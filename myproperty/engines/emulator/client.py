"""A BigQuery client for Google's service or for an endpoint without accounts, such as the emulator.

Only how to connect; what is asked is the caller's.
"""

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery


def bigquery_client(endpoint: str | None, project: str, location: str | None) -> bigquery.Client:
    """Google's own BigQuery with the machine's credentials where `endpoint` is None, else that server.

    Another endpoint has no Storage API beside it: read with `create_bqstorage_client=False`.
    """
    if endpoint is None:
        return bigquery.Client(project=project, location=location)
    return bigquery.Client(
        project=project,
        location=location,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options=ClientOptions(api_endpoint=endpoint),
    )
