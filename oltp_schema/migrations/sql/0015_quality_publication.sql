-- Whether the marts show a tenant's date as it is.

set local role myproperty_owner;

alter table warehouse_staging.quality_days add column publication text;
alter table warehouse_staging.quality_days
add constraint publication_is_known check (publication in ('published', 'pending', 'left out')) not valid;
comment on column warehouse_staging.quality_days.publication is
'published: the marts show the files of the tenant for the date. pending: not yet. left out: they show the former '
'state, since a gate failed for the tenant. NULL: no file came.';

reset role;
