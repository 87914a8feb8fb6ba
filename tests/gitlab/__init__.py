"""A GitLab whose projects and pipelines tests declare; it answers what GitLab documents."""
