# Who may do what comes from grants.json, which `make docs` writes from the declaration of the logins
# (data/raw/accounts.py): nothing here is decided a second time. No resource is named in this file, so that a
# test can evaluate it without a provider.
locals {
  grants = jsondecode(file("${path.module}/grants.json"))

  labels = {
    app         = "myproperty"
    environment = var.environment
    managed_by  = "terraform"
  }

  # One entry for each role of an account in the project, and for each on a dataset.
  project_roles = merge([
    for account, granted in local.grants.accounts : {
      for role in granted.project_roles : "${account} ${role}" => { account = account, role = role }
    }
  ]...)
  dataset_roles = merge([
    for account, granted in local.grants.accounts : {
      for dataset, role in granted.datasets :
      "${account} ${dataset}" => { account = account, dataset = dataset, role = role }
    }
  ]...)
  impersonated = toset([for account, granted in local.grants.accounts : account if granted.setting != null])

  # `versions`: replaced and deleted files are kept for `deleted_days`. The key store keeps none: a destroyed
  # key must be gone with its last copy (docs/privacy.md).
  buckets = {
    inbox            = { versions = true, delete_after_days = null }
    archive          = { versions = true, delete_after_days = null }
    readings-archive = { versions = true, delete_after_days = null }
    snapshots        = { versions = true, delete_after_days = null }
    keys             = { versions = false, delete_after_days = null }
    exports          = { versions = false, delete_after_days = null }
    logs             = { versions = false, delete_after_days = var.log_days }
  }

  secrets = ["myproperty-platform", "myproperty-migrate", "myproperty-instance", "myproperty-logins"]
}
