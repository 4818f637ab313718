# What a client that signs in by IAM may do: this cluster's topics, groups and transactions, no others.

locals {
  # arn:…:cluster/<name>/<uuid> becomes arn:…:topic/<name>/<uuid>/*
  topics       = "${replace(aws_msk_cluster.this.arn, ":cluster/", ":topic/")}/*"
  groups       = "${replace(aws_msk_cluster.this.arn, ":cluster/", ":group/")}/*"
  transactions = "${replace(aws_msk_cluster.this.arn, ":cluster/", ":transactional-id/")}/*"
}

data "aws_iam_policy_document" "client" {
  statement {
    sid       = "Connect"
    actions   = ["kafka-cluster:Connect", "kafka-cluster:DescribeCluster", "kafka-cluster:WriteDataIdempotently"]
    resources = [aws_msk_cluster.this.arn]
  }

  statement {
    sid = "Topics"
    actions = [
      "kafka-cluster:DescribeTopic",
      "kafka-cluster:CreateTopic",
      "kafka-cluster:AlterTopic",
      "kafka-cluster:DescribeTopicDynamicConfiguration",
      "kafka-cluster:AlterTopicDynamicConfiguration",
      "kafka-cluster:ReadData",
      "kafka-cluster:WriteData",
    ]
    resources = [local.topics]
  }

  statement {
    sid       = "Groups"
    actions   = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"]
    resources = [local.groups]
  }

  statement {
    sid       = "Transactions"
    actions   = ["kafka-cluster:DescribeTransactionalId", "kafka-cluster:AlterTransactionalId"]
    resources = [local.transactions]
  }
}

resource "aws_iam_policy" "client" {
  name        = "${var.name}-msk-client"
  description = "Connect to Kafka of ${var.name}, read and write its topics"
  policy      = data.aws_iam_policy_document.client.json
  tags        = var.tags
}

resource "aws_iam_role_policy_attachment" "client" {
  for_each = toset(var.client_iam_role_names)

  role       = each.value
  policy_arn = aws_iam_policy.client.arn
}
