"""What ships inside: stores, orchestrators, materializers; they register through the same hook as strangers."""
