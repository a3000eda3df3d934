"""What meets a request first: who may ask, and how long a connection may wait."""
