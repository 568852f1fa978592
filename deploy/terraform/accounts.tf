# One account for each job on BigQuery, and one for the containers, which may act as those and do nothing
# else itself but read and write the buckets. No account has a key.
resource "google_service_account" "job" {
  for_each     = local.grants.accounts
  account_id   = each.key
  display_name = each.value.purpose
}

resource "google_service_account" "runner" {
  account_id   = "myproperty-runner"
  display_name = "the containers of the platform"
}

resource "google_service_account" "nodes" {
  account_id   = "myproperty-nodes"
  display_name = "the machines of the cluster"
}

resource "google_project_iam_member" "job" {
  for_each = local.project_roles
  project  = var.project
  role     = each.value.role
  member   = google_service_account.job[each.value.account].member
}

resource "google_service_account_iam_member" "impersonation" {
  for_each           = local.impersonated
  service_account_id = google_service_account.job[each.key].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = google_service_account.runner.member
}

# The account `myproperty` of the namespace `myproperty` is the runner: Kubernetes hands out its tokens.
resource "google_service_account_iam_member" "workload" {
  service_account_id = google_service_account.runner.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[myproperty/myproperty]"
  depends_on         = [google_container_cluster.platform]
}

resource "google_project_iam_member" "nodes" {
  for_each = toset(["roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"])
  project  = var.project
  role     = each.key
  member   = google_service_account.nodes.member
}

resource "google_project_iam_member" "reader" {
  for_each = var.readers
  project  = var.project
  role     = "roles/bigquery.jobUser"
  member   = each.key
}
