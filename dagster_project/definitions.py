"""The code location that `workspace.yaml` names."""

from dagster_project.build import build_defs, find_first_date
from dagster_project.logs import configure_logs
from myproperty.settings import get_settings

configure_logs(get_settings())
defs = build_defs(first_date=find_first_date(get_settings()))
