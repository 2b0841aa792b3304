"""The CrossGuard pack: what no stack may deploy, checked at every preview and before every change."""
