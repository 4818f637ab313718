# Who may reach the brokers, and by which key their disks are encrypted.

resource "aws_security_group" "brokers" {
  name        = "${var.name}-msk"
  description = "Kafka clients of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = var.tags
}

# 9092 plain (the cluster refuses it), 9094 TLS.
resource "aws_vpc_security_group_ingress_rule" "kafka" {
  for_each = toset(var.allowed_cidr_blocks)

  security_group_id = aws_security_group.brokers.id
  description       = "Kafka"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 9092
  to_port           = 9094
  tags              = var.tags
}

# Where MSK listens for clients that sign in: 9096 with user and password, 9098 by IAM.
resource "aws_vpc_security_group_ingress_rule" "sign_in" {
  for_each = { for pair in setproduct(var.allowed_cidr_blocks, [9096, 9098]) : "${pair[0]}-${pair[1]}" => pair }

  security_group_id = aws_security_group.brokers.id
  description       = "Kafka with SASL"
  cidr_ipv4         = each.value[0]
  ip_protocol       = "tcp"
  from_port         = each.value[1]
  to_port           = each.value[1]
  tags              = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "between_brokers" {
  security_group_id            = aws_security_group.brokers.id
  description                  = "Between brokers"
  referenced_security_group_id = aws_security_group.brokers.id
  ip_protocol                  = "-1"
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "between_brokers" {
  security_group_id            = aws_security_group.brokers.id
  description                  = "Between brokers"
  referenced_security_group_id = aws_security_group.brokers.id
  ip_protocol                  = "-1"
  tags                         = var.tags
}

resource "aws_kms_key" "this" {
  description             = "Kafka of ${var.name}: disks of the brokers, users' passwords"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}-msk"
  target_key_id = aws_kms_key.this.key_id
}
