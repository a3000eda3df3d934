"""The engine on Spark: the same rules on executors, the same tables written as Delta by Spark."""
