"""What a request costs, at each process that has a part in it."""
