-- The application no longer renames tenants: names are unique over all of them, so a rename told which are taken.

set local role myproperty_owner;
revoke update (name) on myproperty.tenants from myproperty_app;
reset role;
