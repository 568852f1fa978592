\set number random(0, :rows - 1) * :tenants
select i.*, l.*
from invoices as i
join invoice_lines as l on i.tenant_id = l.tenant_id and i.id = l.invoice_id
where i.id = ('00000006-0000-7000-8000-' || lpad(:number::text, 12, '0'))::uuid
    and i.tenant_id = :tenant::uuid -- without policies
order by l.line_number;
