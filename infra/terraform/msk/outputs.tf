output "kafka_bootstrap_servers" {
  description = "Brokers for clients with user and password over TLS (9096)."
  value       = aws_msk_cluster.this.bootstrap_brokers_sasl_scram
}

output "kafka_bootstrap_servers_iam" {
  description = "Brokers for clients that sign in by IAM (9098)."
  value       = aws_msk_cluster.this.bootstrap_brokers_sasl_iam
}

output "cluster_arn" {
  description = "ARN of the cluster."
  value       = aws_msk_cluster.this.arn
}

output "client_policy_arn" {
  description = "The IAM policy of clients."
  value       = aws_iam_policy.client.arn
}

output "kms_key_arn" {
  description = "The key for the secret that holds user and password; MSK takes no secret without a key of one's own."
  value       = aws_kms_key.this.arn
}
