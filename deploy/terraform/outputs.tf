# `terraform output -json settings`: what goes into the ConfigMap `myproperty-settings`. No secret.
output "settings" {
  value = merge(
    {
      MYPROPERTY_HOME                 = "/var/lib/myproperty"
      MYPROPERTY_ENVIRONMENT          = var.environment
      MYPROPERTY_WAREHOUSE            = "bigquery"
      MYPROPERTY_BIGQUERY_PROJECT     = var.project
      MYPROPERTY_BIGQUERY_LOCATION    = var.region
      MYPROPERTY_DATASET_PREFIX       = var.dataset_prefix
      MYPROPERTY_INBOX_URL            = "gs://${google_storage_bucket.files["inbox"].name}"
      MYPROPERTY_ARCHIVE_URL          = "gs://${google_storage_bucket.files["archive"].name}"
      MYPROPERTY_READINGS_ARCHIVE_URL = "gs://${google_storage_bucket.files["readings-archive"].name}"
      MYPROPERTY_KEY_STORE_URL        = "gs://${google_storage_bucket.files["keys"].name}"
      MYPROPERTY_LOG_FORMAT           = "json"
    },
    # MYPROPERTY_BIGQUERY_RAW_ACCOUNT and so on.
    { for account in local.impersonated : local.grants.accounts[account].setting => google_service_account.job[account].email },
  )
}

# `terraform output -raw helm_values`: what the values of the chart leave open.
output "helm_values" {
  value = yamlencode({
    serviceAccount = { annotations = { "iam.gke.io/gcp-service-account" = google_service_account.runner.email } }
    postgresql     = { postgresqlHost = local.database_host }
    additionalInstanceConfig = {
      run_storage       = { config = { postgres_db = { hostname = local.database_host } } }
      event_log_storage = { config = { postgres_db = { hostname = local.database_host } } }
    }
    computeLogManager = {
      config = { gcsComputeLogManager = { bucket = google_storage_bucket.files["logs"].name } }
    }
  })
}

output "database_host" {
  description = "Name in the certificate of the database: --host of deploy/make_secrets.py."
  value       = local.database_host
}

output "database_ca" {
  description = "Certificates of its authority, for the ConfigMap `myproperty-ca`."
  value       = join("\n", [for ca in google_sql_database_instance.main.server_ca_cert : ca.cert])
}

output "images" {
  value = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}
