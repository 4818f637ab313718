# What the project has on AWS. Off by default: `export TF_VAR_enable_msk=true` (Terraform reads no ENABLE_MSK).
terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
}
