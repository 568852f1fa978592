-- What people write in tickets is of themselves as often as not. In the trail, which is never mended, it would
-- outlive their erasure: there stands that it changed, and not what it said.

set local role myproperty_owner;

drop trigger log_action on myproperty.service_tickets;
create trigger log_action after insert or update or delete on myproperty.service_tickets
for each row execute function audit.log_action('{id}', '{summary,description,attachments,search}');

drop trigger log_action on myproperty.ticket_activities;
create trigger log_action after insert on myproperty.ticket_activities
for each row execute function audit.log_action('{id}', '{body,details}');

reset role;
