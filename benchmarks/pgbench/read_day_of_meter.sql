\set number random(0, :meters - 1) * :tenants
select * from meter_readings
where meter_id = ('00000004-0000-7000-8000-' || lpad(:number::text, 12, '0'))::uuid
    and reading_date = date '2026-01-03'
    and tenant_id = :tenant::uuid -- without policies
order by reading_ts;
