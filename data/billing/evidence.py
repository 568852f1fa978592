"""What the energy of a bill rests on: values that a person accepted although they look wrong.

Not here: which values need an acceptance (`data.ingest.validation.acceptances`), or the estimated share of a
line's allocation (`reports`).
"""

import uuid
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg.rows import dict_row

# The values of the unit's own meters, and of the meters of the whole property, which decide about solar.
ACCEPTED = """
select m.serial_number as meter, i.channel, i.reading_date::text as date, i.rule, i.details ->> 'kwh' as kwh,
       i.acceptance_reason as reason, i.accepted_by as by, i.accepted_at::date::text as "on",
       i.accepted_until::text as until
from myproperty.allocation_ledger l
join myproperty.meters m on m.tenant_id = l.tenant_id and m.property_id = l.property_id
join myproperty.reading_issues i
    on i.tenant_id = m.tenant_id and i.meter_id = m.id and i.reading_date <@ l.billing_period
where l.id = any(%s) and i.severity = 'severe' and i.status = 'accepted'
  and (
      exists (
          select from myproperty.meter_assignments a
          where a.tenant_id = m.tenant_id and a.meter_id = m.id and a.unit_id = l.unit_id
            and a.assigned_during @> i.reading_date
      )
      or not exists (
          select from myproperty.meter_assignments a where a.tenant_id = m.tenant_id and a.meter_id = m.id
      )
  )
order by i.reading_date, m.serial_number, i.channel, i.rule
"""


def read_accepted(
    connection: psycopg.Connection, allocation_ids: Iterable[uuid.UUID | None]
) -> list[dict[str, Any]]:
    """Return the accepted values behind these allocations, each with reason, person and last date.

    An invoice keeps them, since an issue forgets its acceptance when it ends.
    """
    ids = [allocation_id for allocation_id in allocation_ids if allocation_id is not None]
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(ACCEPTED, (ids,)).fetchall()
