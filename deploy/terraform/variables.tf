variable "project" {
  description = "Id of the Google Cloud project: one for each environment."
  type        = string
}

variable "environment" {
  description = "MYPROPERTY_ENVIRONMENT of this project."
  type        = string
  default     = "production"
  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "staging or production: the others need no project."
  }
}

variable "region" {
  description = "Region of everything, the datasets included. A dataset cannot move."
  type        = string
  default     = "australia-southeast1"
}

variable "dataset_prefix" {
  description = "MYPROPERTY_DATASET_PREFIX: before the name of each dataset."
  type        = string
  default     = ""
}

variable "billing_account" {
  description = "Id of the billing account, 000000-000000-000000."
  type        = string
}

variable "monthly_budget" {
  description = "What the project may cost in a month, in the currency of the billing account: docs/costs.md."
  type        = number
}

variable "budget_email" {
  description = "Who is told that half, nine tenths and all of the budget is spent, or will be."
  type        = string
}

variable "deployers" {
  description = "Who may read the secrets and deploy, for example group:platform@example.com."
  type        = set(string)
}

variable "readers" {
  description = "Who may ask `bi` besides the accounts: user: or group:. Which rows: tenant_readers.csv."
  type        = set(string)
  default     = []
}

variable "database_tier" {
  description = "Machine of Cloud SQL: docs/costs.md."
  type        = string
  default     = "db-custom-2-8192"
}

variable "database_disk_gb" {
  description = "First size of its disk; it grows by itself."
  type        = number
  default     = 100
}

variable "log_days" {
  description = "Days after which what runs wrote to standard output is deleted."
  type        = number
  default     = 90
}

variable "deleted_days" {
  description = "Days for which deleted and replaced files can be brought back; not those of the key store."
  type        = number
  default     = 30
}
