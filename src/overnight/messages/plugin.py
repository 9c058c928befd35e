"""Sentences about plug-ins."""

EN = {
    "plugin.broken": "the plug-in {package} cannot be loaded: {why}",
    "plugin.broken.fix": "update or remove it: pip install -U {package}, pip uninstall {package}",
    "plugin.failed": "the plug-in for this URL failed: {why}",
    "plugin.failed.fix": "check the URL, or tell the plug-in's author",
}

KO = {
    "plugin.broken": "플러그인 {package}: 불러올 수 없습니다. {why}",
    "plugin.broken.fix": "업데이트하거나 제거하십시오: pip install -U {package}, pip uninstall {package}",
    "plugin.failed": "이 URL을 맡은 플러그인이 실패했습니다: {why}",
    "plugin.failed.fix": "URL을 확인하거나 플러그인 작성자에게 알리십시오",
}
