"""Engine processes behind a gateway: one for each base model, on loopback."""
