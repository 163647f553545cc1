"""From a file of examples to a recipe that runs: what the file holds, what fits it, what is written."""
