"""The routes, one module a subject; each adds its own to the app, around the `Service` they share."""
