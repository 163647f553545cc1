"""Engines generate text. ``local`` runs a base model with adapters in this process."""
