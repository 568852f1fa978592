{{ config(cluster_by=['tenant_id']) }}

{{ publish_candidate('fact_service_ticket') }}
