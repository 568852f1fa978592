\set number random(0, :properties - 1) * :tenants
select * from service_tickets
where property_id = ('00000002-0000-7000-8000-' || lpad(:number::text, 12, '0'))::uuid
    and status in ('open', 'in_progress')
    and tenant_id = :tenant::uuid -- without policies
order by opened_at;
