"""Delivery: releases that are tried beside the one before, kept, and gone back to."""
