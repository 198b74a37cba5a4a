"""The ZK protocol (port 4370): a sans-io codec, the driver built on it, and a simulated terminal."""
