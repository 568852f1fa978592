{{ config(cluster_by=['tenant_id']) }}

{{ publish_candidate('fact_agent_session') }}
