"""Production rehearsed: a real Kubernetes control plane on this machine."""
