"""How the sides of a comparison answer: one engine for each base, blocks of prompts, the answer cache."""
