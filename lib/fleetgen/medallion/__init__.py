"""The way of the data from bronze to silver and gold: rules, tables and the engine that fills them."""
