"""The embedded engine: runs a Pulumi program where there is no Pulumi CLI."""
