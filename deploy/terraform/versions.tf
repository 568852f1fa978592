# The state names every resource, and holds no secret: passwords are made by deploy/make_secrets.py.
terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.45"
    }
  }
  # terraform init -backend-config=bucket=PROJECT-terraform
  backend "gcs" {
    prefix = "myproperty"
  }
}

provider "google" {
  project               = var.project
  region                = var.region
  billing_project       = var.project
  user_project_override = true
  default_labels        = local.labels
}
