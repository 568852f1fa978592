-- What each step of a run took, for the warehouse.

set local role myproperty_owner;

alter table warehouse_staging.quality_runs add column step_seconds text;
comment on column warehouse_staging.quality_runs.step_seconds is
'Seconds of each step that succeeded, by its name, as a JSON object. NULL: none did.';

reset role;
