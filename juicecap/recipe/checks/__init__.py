"""What `juicecap check` compares: a recipe with its data, its paths and its models."""
