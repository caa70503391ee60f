"""The way to the models: settings and clients, what each model takes, and what its errors mean."""
