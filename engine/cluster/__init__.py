"""The only home of the kubernetes client: contexts, reader, reflector, recorded snapshots."""
