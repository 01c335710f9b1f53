"""For tests of pipelines and plugins: in-memory doubles, fault injection, conformance suites."""
