"""What is fitted: NumPyro models and log densities."""
