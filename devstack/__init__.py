"""One command on one machine: embedded Postgres, keys, all services, the offline model."""
