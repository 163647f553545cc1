"""The record that binds a verdict to exact bytes: frozen, written, reused, signed, verified."""
