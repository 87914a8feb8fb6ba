"""A small Gitea that answers with rows of the shape that Gitea 1.26 answered with."""
