"""Autoscaling policies scored against traces of real traffic, by the objects that a stack deploys."""
