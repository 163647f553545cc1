"""Whether a version was trained on a suite's prompts, and what is done about those prompts."""
