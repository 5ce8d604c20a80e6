"""Makes adversarial images; ``attacks/methods`` holds one module per attack."""
