variable "enable_msk" {
  description = "Whether the Kafka cluster (Amazon MSK) is made. From the environment: TF_VAR_enable_msk=true."
  type        = bool
  default     = false
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-central-1"
}

variable "name" {
  description = "Name of the cluster, and beginning of the names of all that belongs to it."
  type        = string
  default     = "lakehouse"
}

variable "vpc_id" {
  description = "The VPC in which brokers and clients are. Needed with enable_msk."
  type        = string
  default     = ""
}

variable "subnet_ids" {
  description = "Three private subnets in three availability zones, one for each broker. Needed with enable_msk."
  type        = list(string)
  default     = []
}

variable "allowed_cidr_blocks" {
  description = "Address ranges from which clients may connect. Never the whole internet. Needed with enable_msk."
  type        = list(string)
  default     = []
}

variable "kafka_version" {
  description = "A version that MSK offers; .kraft without Zookeeper."
  type        = string
  default     = "3.9.x.kraft"
}

variable "instance_type" {
  description = "Size of a broker."
  type        = string
  default     = "kafka.m7g.large"
}

variable "volume_size_gb" {
  description = "Disk of each broker, in GB. The topic user-events alone may keep 24 times 100 GB in each of three copies."
  type        = number
  default     = 1000
}

variable "client_iam_role_names" {
  description = "IAM roles of producers and of the lakehouse, which get the right to connect, read and write."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = { project = "lakehouse" }
}
