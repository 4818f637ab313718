variable "name" {
  description = "Name of the cluster."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of brokers and clients."
  type        = string

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id is needed, for example vpc-0123456789abcdef0."
  }
}

variable "subnet_ids" {
  description = "Three private subnets in three availability zones."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) == 3
    error_message = "Three brokers need three subnets."
  }
}

variable "allowed_cidr_blocks" {
  description = "Address ranges of clients."
  type        = list(string)

  validation {
    condition     = length(var.allowed_cidr_blocks) > 0 && alltrue([for block in var.allowed_cidr_blocks : can(cidrhost(block, 0)) && !endswith(block, "/0")])
    error_message = "Name the clients' ranges, for example 10.0.0.0/16; the whole internet is not one of them."
  }
}

variable "kafka_version" {
  description = "A version that MSK offers."
  type        = string
}

variable "instance_type" {
  description = "Size of a broker."
  type        = string
}

variable "volume_size_gb" {
  description = "Disk of each broker, in GB."
  type        = number
}

variable "client_iam_role_names" {
  description = "IAM roles that get the clients' policy."
  type        = list(string)
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
}
