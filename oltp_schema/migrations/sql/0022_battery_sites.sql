-- Validation compares what a property takes in with what it uses. With a battery these differ by interval.

set local role myproperty_owner;

grant select (tenant_id, property_id, kind, status) on myproperty.solar_assets to myproperty_loader;

reset role;
