"""Shows what the network sees; ``visualize/kinds`` holds one module per kind of picture."""
