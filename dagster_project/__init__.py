"""Dagster: what is defined, and what runs it.

Definitions are in `defs/<stage>/<kind>.py`. The stages are `ingest`, `oltp`, `landing`, `raw` and
`warehouse`, in the order of the data. The kinds are `assets`, `checks`, `jobs`, `schedules` and `sensors`; a
stage has the kinds that it needs, and each file ends with a list of that name. A job and what starts it are
in the stage where the job ends.

`defs/alerts` has only sensors: they tell people about runs of all stages, by `alerts`.

What the stages share is beside `defs`: `gates` (a gate as an asset check), `waiting` (sensors of dates),
`partitions`, `failures` and `resources`. `build` puts all definitions together, `definitions` is what Dagster
loads, and `runner` runs jobs in the caller's process.
"""

import warnings

from dagster import BetaWarning, PreviewWarning

# Accepted: backfill policies and partitioned checks are beta in the pinned release of Dagster.
warnings.filterwarnings("ignore", category=BetaWarning)
warnings.filterwarnings("ignore", category=PreviewWarning)
