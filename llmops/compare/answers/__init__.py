"""The answers of all sides: one engine per base model, blocks of prompts, the answer cache."""
