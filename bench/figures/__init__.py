"""The published figures, one module each, and what they are measured with."""
