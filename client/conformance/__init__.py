"""The promises of the protocol as a program: run it against any server."""
