"""Ingest: closed bars of exchanges, the tape or files become chunks in the object store, each told on the tape."""
