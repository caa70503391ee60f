"""All SQL of the service, one module for each thing that is stored.

Functions take a connection and give rows or values; what is to be committed together
stands in one transaction of the caller's, or in one statement.
"""
