"""RabbitMQ: topology, consuming, publishing. Only `transport` knows the client library."""
