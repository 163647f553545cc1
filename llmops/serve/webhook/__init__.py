"""Events of MLflow's registry: deliveries are verified, and each gates a version once."""
