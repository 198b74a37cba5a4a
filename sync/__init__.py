"""The lossless path: outbox on the edge, batches over MQTT, ingest into the central database."""
