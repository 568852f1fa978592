\set number random(0, :rows - 1) * :tenants
insert into ticket_activities (tenant_id, ticket_id, kind, user_id, body)
values (:tenant::uuid, ('00000007-0000-7000-8000-' || lpad(:number::text, 12, '0'))::uuid, 'note', :user::uuid, 'Rang, nobody there.');
