"""The names that Recharts takes for attributes, read from the package itself."""

from __future__ import annotations

import json
import subprocess

from client import node

_LIST = "node_modules/recharts/es6/util/svgPropertiesNoEvents.js"
_CODE = """
import { readFileSync } from "node:fs";
const source = readFileSync(process.argv[1], "utf8");
const list = /SVGElementPropKeys = (\\[[\\s\\S]*?\\]);/.exec(source)[1];
console.log(JSON.stringify(new Function(`return ${list}`)()));
"""


def of_recharts() -> list[str]:
    """What Recharts copies from a row onto the element that it draws for it."""
    node.install()
    told = subprocess.run(
        [node.node(), "--input-type=module", "-e", _CODE, node.WORKSPACE / _LIST],
        capture_output=True,
        check=True,
    )
    names: list[str] = json.loads(told.stdout)
    return names
