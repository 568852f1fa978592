{{ config(
    cluster_by=['tenant_id', 'property_id', 'meter_id'],
    indexes=[{'columns': ['reading_date', 'tenant_id', 'meter_id', 'channel'], 'unique': true}],
) }}
{{ by_reading_date() }}

-- Until release 0.2.0 people read the fact itself.
{{ publish_candidate('fact_energy_daily', takes_history=true) }}
