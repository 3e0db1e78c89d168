"""Stores: what answers operations."""
