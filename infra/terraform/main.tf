module "msk" {
  source = "./msk"
  count  = var.enable_msk ? 1 : 0

  name                  = var.name
  vpc_id                = var.vpc_id
  subnet_ids            = var.subnet_ids
  allowed_cidr_blocks   = var.allowed_cidr_blocks
  kafka_version         = var.kafka_version
  instance_type         = var.instance_type
  volume_size_gb        = var.volume_size_gb
  client_iam_role_names = var.client_iam_role_names
  tags                  = var.tags
}
