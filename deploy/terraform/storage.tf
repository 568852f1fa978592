resource "google_storage_bucket" "files" {
  for_each                    = local.buckets
  name                        = "${var.project}-myproperty-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = each.value.versions
  }

  # A lock (`retention_policy`) would refuse to replace a file, as `partitions archive` does after a restore,
  # and to delete one that names an erased person. So the versions are kept, for a time.
  dynamic "lifecycle_rule" {
    for_each = each.value.versions ? [var.deleted_days] : []
    content {
      condition {
        days_since_noncurrent_time = lifecycle_rule.value
      }
      action {
        type = "Delete"
      }
    }
  }
  dynamic "lifecycle_rule" {
    for_each = each.value.delete_after_days == null ? [] : [each.value.delete_after_days]
    content {
      condition {
        age = lifecycle_rule.value
      }
      action {
        type = "Delete"
      }
    }
  }
  soft_delete_policy {
    retention_duration_seconds = each.value.versions ? 604800 : 0
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_storage_bucket_iam_member" "runner" {
  for_each = google_storage_bucket.files
  bucket   = each.value.name
  role     = "roles/storage.objectUser"
  member   = google_service_account.runner.member
}
