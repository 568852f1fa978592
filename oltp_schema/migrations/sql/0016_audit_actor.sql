-- The actor of a change is a user of the tenant whose row changed.

set local role myproperty_owner;
grant references (tenant_id, id) on myproperty.users to myproperty_guardian;
reset role;

set local role myproperty_guardian;

-- The setting app.user_id is the caller's to choose. A foreign key looks past row-level security, so it holds for
-- every role. Not validated: an older trail may hold what was not checked, and is never changed.
alter table audit.logged_actions
add constraint actor_is_a_user_of_the_tenant foreign key (tenant_id, user_id)
references myproperty.users (tenant_id, id) on delete restrict not valid;
-- squawk-ignore require-concurrent-index-creation
create index logged_actions_of_user on audit.logged_actions (tenant_id, user_id) where user_id is not null;
comment on column audit.logged_actions.user_id is
'The setting app.user_id of the transaction: a user of the tenant. NULL: the platform itself.';

reset role;
