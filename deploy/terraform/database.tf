# The operational database, and that of Dagster beside it. Its logins are made by `myproperty migrate`: a user
# that Terraform made would be a member of cloudsqlsuperuser.
resource "google_sql_database_instance" "main" {
  name                = "myproperty"
  database_version    = "POSTGRES_18"
  region              = var.region
  deletion_protection = true

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.database_tier
    availability_type           = "REGIONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.database_disk_gb
    disk_autoresize             = true
    deletion_protection_enabled = true
    user_labels                 = local.labels

    backup_configuration {
      enabled                        = true
      start_time                     = "02:00"
      location                       = var.region
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7
      backup_retention_settings {
        retained_backups = 30
      }
    }

    # For change data capture by a replication slot.
    database_flags {
      name  = "cloudsql.logical_decoding"
      value = "on"
    }
    # The platform ends the statement of a client that is gone; a lock that is waited for is logged.
    database_flags {
      name  = "log_lock_waits"
      value = "on"
    }

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.main.id
      ssl_mode        = "ENCRYPTED_ONLY"
      # Its certificate names the instance, so that `sslmode=verify-full` can hold.
      server_ca_mode = "GOOGLE_MANAGED_CAS_CA"
    }

    maintenance_window {
      day          = 2
      hour         = 3
      update_track = "stable"
    }

    insights_config {
      query_insights_enabled = true
    }
  }

  lifecycle {
    prevent_destroy = true
    # It grows by itself.
    ignore_changes = [settings[0].disk_size]
  }
  depends_on = [google_service_networking_connection.database]
}

resource "google_sql_database" "main" {
  name     = "myproperty"
  instance = google_sql_database_instance.main.name
}

# The name in its certificate, which `sslmode=verify-full` compares, leads to its private address.
resource "google_dns_managed_zone" "database" {
  name       = "myproperty-database"
  dns_name   = "${local.database_host}."
  visibility = "private"
  private_visibility_config {
    networks {
      network_url = google_compute_network.main.id
    }
  }
  depends_on = [google_project_service.used]
}

resource "google_dns_record_set" "database" {
  managed_zone = google_dns_managed_zone.database.name
  name         = google_dns_managed_zone.database.dns_name
  type         = "A"
  ttl          = 300
  rrdatas      = [google_sql_database_instance.main.private_ip_address]
}

locals {
  database_name = one([
    for each in google_sql_database_instance.main.dns_names : each.name
    if each.connection_type == "PRIVATE_SERVICES_ACCESS"
  ])
  # A name of the DNS ends with a dot, one in a certificate does not.
  database_host = trimsuffix(local.database_name, ".")
}
