-- What was declared about a file when it was loaded, so that its quarantine is replayed as it was read.

set local role myproperty_owner;

alter table myproperty.ingestion_jobs
add column mapping jsonb
constraint mapping_is_an_object check (jsonb_typeof(mapping) = 'object');

comment on column myproperty.ingestion_jobs.mapping is
'The mapping that the file was read with, null where it needed none; content_hash is then of file and mapping.';
reset role;
