# Places for the secrets; docs/production.md fills them. Their values are in no file and no state of Terraform.
resource "google_secret_manager_secret" "file" {
  for_each  = toset(local.secrets)
  secret_id = each.key
  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }
  depends_on = [google_project_service.used]
}

resource "google_secret_manager_secret_iam_member" "deployer" {
  for_each  = { for pair in setproduct(local.secrets, var.deployers) : join(" ", pair) => pair }
  secret_id = google_secret_manager_secret.file[each.value[0]].id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value[1]
}
