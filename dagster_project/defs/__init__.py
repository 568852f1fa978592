"""The definitions: `<stage>/<kind>.py`, as `dagster_project` explains."""
