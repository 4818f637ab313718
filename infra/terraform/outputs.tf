output "kafka_bootstrap_servers" {
  description = "Brokers for clients with user and password over TLS: MSK_BOOTSTRAP_SERVERS of infra/kafka/producer_config.json."
  value       = one(module.msk[*].kafka_bootstrap_servers)
}

output "kafka_bootstrap_servers_iam" {
  description = "Brokers for clients that sign in by IAM."
  value       = one(module.msk[*].kafka_bootstrap_servers_iam)
}

output "kafka_cluster_arn" {
  description = "ARN of the cluster."
  value       = one(module.msk[*].cluster_arn)
}

output "kafka_client_policy_arn" {
  description = "The IAM policy of clients."
  value       = one(module.msk[*].client_policy_arn)
}
