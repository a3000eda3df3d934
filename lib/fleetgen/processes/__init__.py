"""The processes that supervisord starts: wiring only. They share nothing but the manifest and never import each other."""
