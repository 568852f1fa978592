{{ config(
    cluster_by=['tenant_id', 'property_id'],
    indexes=[{'columns': ['tenant_id', 'meter_id', 'channel', 'reading_date'], 'unique': true}],
) }}
{{ by_reading_date() }}

{{ publish_candidate() }}
