-- Gates, commands and registration have roles of their own, so that no job needs the rights of another.

set local role myproperty_owner;

-- The gates read what landing reads and what it wrote; they change nothing but their verdicts.
do $$
declare
    readable record;
begin
    for readable in
        select c.oid::regclass as name
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where n.nspname in ('myproperty', 'warehouse_staging') and c.relkind in ('r', 'p', 'v')
            and not c.relispartition and pg_catalog.pg_get_userbyid(c.relowner) = current_user
            and has_table_privilege('myproperty_etl', c.oid, 'select')
    loop
        execute format('grant select on %s to myproperty_checker', readable.name);
    end loop;
end;
$$;
grant usage on schema myproperty, warehouse_staging to myproperty_checker;
grant insert, update (results) on warehouse_staging.gate_results to myproperty_checker;
revoke insert, update on warehouse_staging.gate_results from myproperty_etl;

grant usage on schema myproperty to myproperty_operator, myproperty_registrar;
grant select on
    myproperty.tenants, myproperty.adjustment_tasks, myproperty.data_keys
to myproperty_operator;
grant select, insert, update on myproperty.tenants to myproperty_registrar;

reset role;

set local role myproperty_partitioner;
grant select on myproperty.meter_readings, warehouse_staging.meter_readings to myproperty_checker;
reset role;

set local role originfd;
grant usage on schema originfd to myproperty_checker;
grant select on originfd.projects to myproperty_checker;
reset role;
