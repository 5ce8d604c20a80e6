"""One attack per module; ``attacks.attack.ATTACKS`` finds them."""
