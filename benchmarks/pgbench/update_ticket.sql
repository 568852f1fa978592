\set number random(0, :rows - 1) * :tenants
\set turn random(0, 3)
update service_tickets set priority = (array['low', 'normal', 'high', 'urgent'])[:turn::int + 1]
where id = ('00000007-0000-7000-8000-' || lpad(:number::text, 12, '0'))::uuid
    and tenant_id = :tenant::uuid -- without policies
;
