"""The definitions that Dagster loads."""

from dagster_project.build import build_defs

defs = build_defs()
