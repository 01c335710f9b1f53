"""What AWS adds to core, as data: importing this imports no AWS SDK."""
