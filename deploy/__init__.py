"""What operators run: settings and keys, certificates, the bill of materials."""
