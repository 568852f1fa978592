-- A message without a person was held by no foreign key: (tenant_id, user_id) is not checked where one is NULL.

set local role myproperty_owner;

-- While the messages are read, who writes one waits; who reads does not.
-- squawk-ignore adding-foreign-key-constraint, constraint-missing-not-valid
alter table myproperty.agent_messages add constraint message_is_of_a_tenant
foreign key (tenant_id) references myproperty.tenants (id) on delete restrict;

reset role;
