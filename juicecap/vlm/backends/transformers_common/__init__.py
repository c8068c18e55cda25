"""What the backends on transformers share: processors, and the prompts that they make."""
