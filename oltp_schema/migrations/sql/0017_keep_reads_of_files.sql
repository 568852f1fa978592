-- Register reads that come in files: how sure they are, and which file brought them.

set local role myproperty_owner;

-- No read has come from a file yet: the rows there are few, entered by people, and a scan is nothing.
-- squawk-ignore adding-field-with-default
alter table myproperty.register_reads
add column quality text not null default 'actual'
constraint read_quality_is_known check (quality in ('actual', 'edited', 'estimated')),
add column source_version timestamptz,
add column ingestion_job_id uuid,
-- squawk-ignore constraint-missing-not-valid, adding-foreign-key-constraint
add foreign key (tenant_id, ingestion_job_id)
references myproperty.ingestion_jobs (tenant_id, id) on delete restrict,
-- squawk-ignore constraint-missing-not-valid
add constraint read_of_a_file_has_a_version check (num_nonnulls(source_version, ingestion_job_id) in (0, 2)),
-- When a meter is exchanged both devices are read at one instant: the next one asks less.
-- squawk-ignore ban-drop-constraint
drop constraint register_reads_tenant_id_meter_id_channel_read_at_kind_key,
-- squawk-ignore constraint-missing-not-valid, disallowed-unique-constraint
add constraint one_read_of_a_device_at_a_time unique (tenant_id, meter_id, channel, read_at, kind, serial_number);

comment on column myproperty.register_reads.quality is 'An estimated read is kept, and nothing is held against it.';
comment on column myproperty.register_reads.source_version is
'When the sender made the read, null for one that a person entered; of two from files the newer one holds.';
comment on column myproperty.register_reads.ingestion_job_id is
'The file that brought the read, null for one that a person entered: no file replaces that.';
grant insert, update on myproperty.register_reads to myproperty_loader;
reset role;
