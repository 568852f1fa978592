select * from invoices
where status = 'overdue'
    and tenant_id = :tenant::uuid -- without policies
order by due_at;
