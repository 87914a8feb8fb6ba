"""The files that belong to a release: rules, routes, dashboards and deployment files.

`rules` and the entries of `files` are links to the project's folders, so that each file exists
once; a wheel contains what they lead to.
"""

from trunkwatch.assets.content import render_files
from trunkwatch.assets.packaged import asset_path
from trunkwatch.assets.settings import AssetSettings, parse_settings
from trunkwatch.assets.writing import write_folder

__all__ = ["AssetSettings", "asset_path", "parse_settings", "render_files", "write_folder"]
