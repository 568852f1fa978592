"""Connect a BigQuery client to Google's service, or to an endpoint without accounts such as the emulator."""

from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery


def bigquery_client(endpoint: str | None, project: str, location: str | None) -> bigquery.Client:
    """Return a client of the server at `endpoint`, or of Google (with the machine's credentials) for None.

    Any other endpoint has no Storage API beside it: read with `create_bqstorage_client=False`.
    """
    if endpoint is None:
        return bigquery.Client(project=project, location=location)
    return bigquery.Client(
        project=project,
        location=location,
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options=ClientOptions(api_endpoint=endpoint),
    )
