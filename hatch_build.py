"""Metadata of the built package: links that work on a package index.

The index shows README.md without the repository around it, so its links are made absolute. Where
the repository is published is taken from REPOSITORY_URL, or from git's remote `origin`; if it is
published nowhere, links within the repository become plain text.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?!https?:|#)(?P<target>[^)]+)\)\n?")
SSH = re.compile(r"^(?:ssh://)?git@([^:/]+)[:/](.+)$")


class Links(MetadataHookInterface):
    """Provides the fields `readme` and `urls`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the fields to the metadata."""
        root = Path(self.root)
        repository = published_at(root)
        source = (root / "wrappers/nexus_operations/_version.py").read_text()
        version = re.search(r'__version__ = "(.*)"', source)
        assert version is not None
        text = absolute((root / "README.md").read_text(), repository, f"v{version[1]}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        pages = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md"}
        metadata["urls"] = {"Service": "https://datature.io"}
        if repository:
            at = {name: f"{repository}/blob/v{version[1]}/{page}" for name, page in pages.items()}
            metadata["urls"] |= {"Repository": repository, **at}


def published_at(root: Path) -> str:
    """Return the repository's address for browsers, or `""`."""
    url = os.environ.get("REPOSITORY_URL", "")
    if not url:
        command = ["git", "-C", str(root), "remote", "get-url", "origin"]
        try:
            found = subprocess.run(command, capture_output=True, text=True, check=False)
            url = found.stdout.strip()
        except OSError:
            return ""
    url = SSH.sub(r"https://\1/\2", url).removesuffix("/").removesuffix(".git")
    return url if url.startswith("https://") and "@" not in url else ""


def absolute(text: str, repository: str, revision: str) -> str:
    """Return Markdown with links that need no repository around them."""

    def link(match: re.Match[str]) -> str:
        image, label, target = match["image"], match["text"], match["target"]
        end = "\n" if match[0].endswith("\n") else ""
        if not repository:
            return end if image else label + end
        return (
            f"{image}[{label}]({repository}/{'raw' if image else 'blob'}/{revision}/{target}){end}"
        )

    return LINK.sub(link, text)
