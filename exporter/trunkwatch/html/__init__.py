"""The pages for people, as HTML: Jinja2 templates with autoescape, over snapshots."""
