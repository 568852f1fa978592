"""Dagster: the assets of each stage, the gates between them, and the jobs that run them."""

import warnings

from dagster import BetaWarning, PreviewWarning

# Known and accepted: backfill policies and partitioned checks are beta in the pinned release of Dagster.
warnings.filterwarnings("ignore", category=BetaWarning)
warnings.filterwarnings("ignore", category=PreviewWarning)
