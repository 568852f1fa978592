{{ config(
    cluster_by=['tenant_id', 'property_id'],
    indexes=[{'columns': ['tenant_id', 'property_id', 'reading_date'], 'unique': true}],
) }}
{{ by_reading_date() }}

{{ publish_candidate() }}
