"""What Dagster has of this stage; see `dagster_project`."""
