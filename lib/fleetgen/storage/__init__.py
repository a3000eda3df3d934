"""Files and their protocol: the layout, bronze batches, ledgers, the manifest. Nothing here knows what a batch means."""
