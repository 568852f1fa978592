resource "google_compute_network" "main" {
  name                    = "myproperty"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.used]
}

resource "google_compute_subnetwork" "main" {
  name                     = "myproperty"
  network                  = google_compute_network.main.id
  region                   = var.region
  ip_cidr_range            = "10.10.0.0/20"
  private_ip_google_access = true
}

# Cloud SQL lives in a network of Google's, reached by these addresses.
resource "google_compute_global_address" "database" {
  name          = "myproperty-database"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.main.id
}

resource "google_service_networking_connection" "database" {
  network                 = google_compute_network.main.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.database.name]
}

# The machines have no address on the internet; what they call there (alerts) leaves by this one.
resource "google_compute_router" "main" {
  name    = "myproperty"
  network = google_compute_network.main.id
  region  = var.region
}

resource "google_compute_router_nat" "main" {
  name                               = "myproperty"
  router                             = google_compute_router.main.name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

resource "google_container_cluster" "platform" {
  name                = "myproperty"
  location            = var.region
  enable_autopilot    = true
  network             = google_compute_network.main.id
  subnetwork          = google_compute_subnetwork.main.id
  deletion_protection = true
  resource_labels     = local.labels

  ip_allocation_policy {}

  private_cluster_config {
    enable_private_nodes = true
  }

  cluster_autoscaling {
    auto_provisioning_defaults {
      service_account = google_service_account.nodes.email
    }
  }

  release_channel {
    channel = "REGULAR"
  }
  depends_on = [google_project_iam_member.nodes]
}

resource "google_artifact_registry_repository" "images" {
  repository_id = "myproperty"
  format        = "DOCKER"
  location      = var.region
  docker_config {
    immutable_tags = true
  }
  depends_on = [google_project_service.used]
}
