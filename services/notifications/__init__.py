"""Notifications: decides who is told what, and adds up the feature requests that Owners learn about."""
