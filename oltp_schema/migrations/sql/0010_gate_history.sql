-- Verdicts keep what each rule observed, passed rules too, and how long a gate took.

set local role myproperty_owner;

alter table warehouse_staging.gate_results
add column row_count bigint,
add column seconds double precision,
add column results jsonb not null default '[]';

-- Old rows have the default, so there is nothing to validate.
alter table warehouse_staging.gate_results
add constraint results_are_a_list check (jsonb_typeof(results) = 'array') not valid;

comment on column warehouse_staging.gate_results.row_count is
'Rows that the gate checked. NULL: a verdict from before this column.';
comment on column warehouse_staging.gate_results.seconds is
'Seconds that reading and checking took. NULL: a verdict from before this column.';
comment on column warehouse_staging.gate_results.results is
'One object for each rule: rule, passed, observed, element_count, unexpected_count. Kept for the newest verdicts of a '
'gate and table, and emptied in older ones.';

-- Emptying the results of old verdicts must find those that still have some. The table is small, and only gates
-- write it.
-- squawk-ignore require-concurrent-index-creation
create index gate_results_detailed on warehouse_staging.gate_results (gate, table_name, checked_at desc)
where results <> '[]';

grant update (results) on warehouse_staging.gate_results to myproperty_etl;

reset role;
