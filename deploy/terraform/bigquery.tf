resource "google_bigquery_dataset" "layer" {
  for_each    = toset(local.grants.datasets)
  dataset_id  = "${var.dataset_prefix}${each.key}"
  location    = var.region
  description = "Layer ${each.key} of the warehouse: docs/warehouse.md."
  labels      = merge(local.labels, { layer = each.key })
  # What a wrong run replaced can be read for a week.
  max_time_travel_hours = 168
  depends_on            = [google_project_service.used]

  lifecycle {
    prevent_destroy = true
  }
}

# One entry each, so that what somebody else granted stays. Google shows the roles by their old names.
resource "google_bigquery_dataset_access" "job" {
  for_each      = local.dataset_roles
  dataset_id    = google_bigquery_dataset.layer[each.value.dataset].dataset_id
  role          = each.value.role
  user_by_email = google_service_account.job[each.value.account].email
}

# The views of `bi` read these for people who may read `bi` alone. Which rows: the seed tenant_readers, by the
# views themselves (docs/isolation.md); there are no row access policies.
resource "google_bigquery_dataset_access" "bi" {
  for_each   = toset(local.grants.shared_with_bi)
  dataset_id = google_bigquery_dataset.layer[each.key].dataset_id
  dataset {
    dataset {
      project_id = var.project
      dataset_id = google_bigquery_dataset.layer["bi"].dataset_id
    }
    target_types = ["VIEWS"]
  }
}

resource "google_bigquery_dataset_access" "reader" {
  for_each       = var.readers
  dataset_id     = google_bigquery_dataset.layer["bi"].dataset_id
  role           = "READER"
  user_by_email  = startswith(each.key, "user:") ? trimprefix(each.key, "user:") : null
  group_by_email = startswith(each.key, "group:") ? trimprefix(each.key, "group:") : null
}
