"""KQL, by Microsoft's own parser, against the columns that the tables are known to have."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

TABLES = {
    "AppMetrics": (
        "(TimeGenerated:datetime, Name:string, Sum:real, ItemCount:int, Min:real, Max:real,"
        " Properties:dynamic, AppRoleName:string, AppRoleInstance:string)"
    ),
    "AppTraces": (
        "(TimeGenerated:datetime, Message:string, SeverityLevel:int, Properties:dynamic,"
        " OperationId:string, AppRoleName:string, AppRoleInstance:string)"
    ),
    "AppEvents": (
        "(TimeGenerated:datetime, Name:string, Properties:dynamic, OperationId:string,"
        " AppRoleName:string, AppRoleInstance:string)"
    ),
    "ADTEventRoutesOperation": (
        "(TimeGenerated:datetime, EndpointName:string, OperationName:string,"
        " ResultType:string, ResultSignature:string, ResultDescription:string, Level:string)"
    ),
    "AZMSDiagnosticErrorLogs": (
        "(TimeGenerated:datetime, ActivityName:string, NamespaceName:string,"
        " EntityName:string, OperationResult:string, ErrorMessage:string, ErrorCount:int)"
    ),
    "AZMSRunTimeAuditLogs": (
        "(TimeGenerated:datetime, ActivityName:string, Status:string, AuthType:string,"
        " AuthKey:string, NetworkType:string, ClientIp:string, Count:int)"
    ),
    "StorageBlobLogs": (
        "(TimeGenerated:datetime, OperationName:string, StatusCode:string,"
        " StatusText:string, AuthenticationType:string, Uri:string, CallerIpAddress:string)"
    ),
}
"""Columns, from Microsoft's pages about the tables."""


def problems(queries: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what is wrong with each query; nothing of those that are right.

    Raises:
        CalledProcessError: the parser is not there: `npm ci --prefix tests` brings it.
    """
    done = subprocess.run(
        ["node", Path(__file__).with_name("kql.js")],
        input=json.dumps({"tables": TABLES, "queries": dict(queries)}),
        check=True,
        capture_output=True,
        text=True,
    )
    return {
        name: list(map(str, told)) for name, told in json.loads(done.stdout).items() if told
    }
