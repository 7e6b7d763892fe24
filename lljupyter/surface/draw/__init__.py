"""Surfaces as pictures and pages."""
