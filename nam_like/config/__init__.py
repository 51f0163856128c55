"""From JSON text to typed objects, with every mistake found and placed."""
