"""The page: it draws what `known` says and asks for changes through `api.steering`; it reads no file."""
