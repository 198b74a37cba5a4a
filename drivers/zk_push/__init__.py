"""Terminals that dial in and push over HTTP ("ADMS", "iclock")."""
