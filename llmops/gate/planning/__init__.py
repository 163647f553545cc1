"""What a suite can decide, before anything is asked and after nothing was decided."""
