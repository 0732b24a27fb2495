"""Tables that are ready to use: our own, and those built-in tables of Azure Monitor that a Python program can fill.

In a built-in table, a column takes the field given for it here, or else the extra of its own name, as in
``extra={"SourceIP": "10.0.0.7"}``. A field wins over an extra of the same name, so a column takes a field only if no
caller could know a better value; otherwise it is an extra with a default. To send to a built-in table, use a stream
that declares the preset's columns, with ``transformKql: source`` and the ``outputStream`` in `BUILT_IN`.

The large tables are kept as text and built on first use, so that importing this module costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from ..errors import ConfigurationError
from ..table import Column, Extra, Source, Table

# Our own table, which the templates create.
DEFAULT = Table.from_mapping(
    {
        "TimeGenerated": "time",
        "Level": "level",
        "Logger": "logger",
        "Message": "message",
        "Exception": "exception",
        "Properties": "*",
        "Module": "module",
        "Function": "function",
        "Line": "line",
        "ProcessId": "process_id",
        "Thread": "thread_name",
        "Host": "host",
        "TraceId": "trace_id",
        "SpanId": "span_id",
        "Instance": "instance",
        "Sequence": "sequence",
    }
)

# The columns that every application needs: stored bytes are billed, and the others can outweigh a short message.
LEAN = Table(DEFAULT.columns[:6])

# Built by `__getattr__` on first use, from `_BUILT_IN`.
SYSLOG: Table
COMMON_SECURITY_LOG: Table
SECURITY_EVENT: Table
WINDOWS_EVENT: Table
EVENT: Table
PRESETS: Mapping[str, Table]


class _BuiltIn(NamedTuple):
    """Describe one of Azure's tables; `columns` lists all that can be sent, as `Name` for a string, or `Name:type`."""

    table: str
    sources: Mapping[str, Source]
    columns: str


# Names and types come from Azure Monitor's table reference ("reference": MicrosoftDocs/azure-monitor-docs,
# articles/azure-monitor/reference/tables) and from stream declarations made from live workspaces ("Cribl":
# criblio/Cribl-Microsoft@ad2f1c2334ba, deprecated/Azure/CustomDeploymentTemplates/DCR-Templates/
# SentinelNativeTables/DataCollectionRules(NoDCE)). The service's own columns are left out: TenantId, Type, _*.
_BUILT_IN: Mapping[str, _BuiltIn] = {
    # Source: reference syslog.md, identical to Cribl's Syslog.json.
    #
    # There is no column for additional data, so extras without a column and tracebacks are left out. A formatter set
    # on the handler puts the traceback into SyslogMessage, as with SysLogHandler.
    "syslog": _BuiltIn(
        table="Syslog",
        sources={
            "TimeGenerated": "time",
            "EventTime": "time",  # kept when Azure overwrites the TimeGenerated of a row that is two days late
            "Computer": "host",
            "HostName": "host",
            "Facility": Extra(("Facility",), default="user"),
            "SeverityLevel": "syslog_severity",
            "ProcessName": "logger",  # Python's own name for a process is "MainProcess" everywhere
            "ProcessID": "process_id",
            "SyslogMessage": "message",
        },
        columns="""
        CollectorHostName Computer EventTime:datetime Facility HostIP HostName ProcessID:int ProcessName
        SeverityLevel SourceSystem SyslogMessage TimeGenerated:datetime
        """,
    ),
    # Source: Cribl's CommonSecurityLog.json (2026-07), reference commonsecuritylog.md. A workspace has this
    # table only once Microsoft Sentinel is onboarded (terraform-provider-azurerm#28709).
    #
    # Vendor, product and version tell queries and Sentinel's rules which product an event comes from: give your own
    # once, in a filter or bound context. Activity is CEF's name for the event, the same for all events of one kind and
    # never empty: the message would differ each time, and be billed twice.
    # AdditionalExtensions takes the rest as JSON, which `parse_json` reads: in CEF's own key=value;key=value, a value
    # that contains a semicolon, such as a traceback, has no clear end.
    "common_security_log": _BuiltIn(
        table="CommonSecurityLog",
        sources={
            "TimeGenerated": "time",
            "ReceiptTime": "time",  # a string; filled for the same reason as EventTime in Syslog
            "Computer": "host",
            "DeviceVendor": Extra(("DeviceVendor",), default="Python"),
            "DeviceProduct": Extra(("DeviceProduct",), default="logging"),
            "Activity": Extra(("Activity",), default="Log record"),
            "LogSeverity": "cef_severity",
            "OriginalLogSeverity": "level",
            "ProcessName": "logger",  # as in Syslog
            "ProcessID": "process_id",
            "Message": "message",
            "AdditionalExtensions": "*",
        },
        columns="""
        Activity AdditionalExtensions ApplicationProtocol CollectorHostName CommunicationDirection Computer
        DestinationDnsDomain DestinationHostName DestinationIP DestinationMACAddress DestinationNTDomain
        DestinationPort:int DestinationProcessId:int DestinationProcessName DestinationServiceName
        DestinationTranslatedAddress DestinationTranslatedPort:int DestinationUserID DestinationUserName
        DestinationUserPrivileges DeviceAction DeviceAddress DeviceCustomDate1 DeviceCustomDate1Label
        DeviceCustomDate2 DeviceCustomDate2Label DeviceCustomFloatingPoint1:real
        DeviceCustomFloatingPoint1Label DeviceCustomFloatingPoint2:real DeviceCustomFloatingPoint2Label
        DeviceCustomFloatingPoint3:real DeviceCustomFloatingPoint3Label DeviceCustomFloatingPoint4:real
        DeviceCustomFloatingPoint4Label DeviceCustomIPv6Address1 DeviceCustomIPv6Address1Label
        DeviceCustomIPv6Address2 DeviceCustomIPv6Address2Label DeviceCustomIPv6Address3
        DeviceCustomIPv6Address3Label DeviceCustomIPv6Address4 DeviceCustomIPv6Address4Label
        DeviceCustomNumber1:int DeviceCustomNumber1Label DeviceCustomNumber2:int DeviceCustomNumber2Label
        DeviceCustomNumber3:int DeviceCustomNumber3Label DeviceCustomString1 DeviceCustomString1Label
        DeviceCustomString2 DeviceCustomString2Label DeviceCustomString3 DeviceCustomString3Label
        DeviceCustomString4 DeviceCustomString4Label DeviceCustomString5 DeviceCustomString5Label
        DeviceCustomString6 DeviceCustomString6Label DeviceDnsDomain DeviceEventCategory DeviceEventClassID
        DeviceExternalID DeviceFacility DeviceInboundInterface DeviceMacAddress DeviceName DeviceNtDomain
        DeviceOutboundInterface DevicePayloadId DeviceProduct DeviceTimeZone DeviceTranslatedAddress
        DeviceVendor DeviceVersion EndTime:datetime EventCount:int EventOutcome EventType:int ExternalID:int
        ExtID FieldDeviceCustomNumber1:long FieldDeviceCustomNumber2:long FieldDeviceCustomNumber3:long
        FileCreateTime FileHash FileID FileModificationTime FileName FilePath FilePermission FileSize:int
        FileType FlexDate1 FlexDate1Label FlexNumber1:int FlexNumber1Label FlexNumber2:int FlexNumber2Label
        FlexString1 FlexString1Label FlexString2 FlexString2Label IndicatorThreatType LogSeverity
        MaliciousIP MaliciousIPCountry MaliciousIPLatitude:real MaliciousIPLongitude:real Message
        OldFileCreateTime OldFileHash OldFileID OldFileModificationTime OldFileName OldFilePath
        OldFilePermission OldFileSize:int OldFileType OriginalLogSeverity ProcessID:int ProcessName Protocol
        Reason ReceiptTime ReceivedBytes:long RemoteIP RemotePort ReportReferenceLink
        RequestClientApplication RequestContext RequestCookies RequestMethod RequestURL SentBytes:long
        SimplifiedDeviceAction SourceDnsDomain SourceHostName SourceIP SourceMACAddress SourceNTDomain
        SourcePort:int SourceProcessId:int SourceProcessName SourceServiceName SourceSystem
        SourceTranslatedAddress SourceTranslatedPort:int SourceUserID SourceUserName SourceUserPrivileges
        StartTime:datetime ThreatConfidence ThreatDescription ThreatSeverity:int TimeGenerated:datetime
        """,
    ),
    # Source: Cribl's SecurityEvent.json, reference securityevent.md. InterfaceUuid, LogonGuid,
    # SourceComputerId, SubcategoryGuid and TargetLogonGuid are guids in the table; a stream has no such type.
    #
    # Activity is the only column for a sentence. EventData takes the rest: AdditionalInfo and Properties are for
    # particular Windows events. Level is left to extras: it has numbers of its own, such as 8 and 16
    # (azure-docs#114914). Process, ProcessId and ProcessName describe the process that an event is about.
    "security_event": _BuiltIn(
        table="SecurityEvent",
        sources={
            "TimeGenerated": "time",
            "Computer": "host",
            "Channel": Extra(("Channel",), default="Application"),
            "EventSourceName": "logger",
            "EventLevelName": "event_level_name",
            "SystemProcessId": "process_id",
            "Activity": "message",
            "EventData": "*",
        },
        columns="""
        AccessMask Account AccountDomain AccountExpires AccountName AccountSessionIdentifier AccountType
        Activity AdditionalInfo AdditionalInfo2 AllowedToDelegateTo Attributes AuditPolicyChanges
        AuditsDiscarded:int AuthenticationLevel:int AuthenticationPackageName AuthenticationProvider
        AuthenticationServer AuthenticationService:int AuthenticationType AzureDeploymentID
        CACertificateHash CalledStationID CallerProcessId CallerProcessName CallingStationID CAPublicKeyHash
        CategoryId CertificateDatabaseHash Channel ClassId ClassName ClientAddress ClientIPAddress
        ClientName CommandLine CompatibleIds Computer Correlation DCDNSName DeviceDescription DeviceId
        DisplayName Disposition DomainBehaviorVersion DomainName DomainPolicyChanged DomainSid EAPType
        ElevatedToken ErrorCode:int EventData EventID:int EventLevelName EventRecordId EventSourceName
        ExtendedQuarantineState FailureReason FileHash FilePath FilePathNoUser Filter ForceLogoff Fqbn
        FullyQualifiedSubjectMachineName FullyQualifiedSubjectUserName GroupMembership HandleId HardwareIds
        HomeDirectory HomePath InterfaceUuid IpAddress IpPort KeyLength:int Keywords Level LmPackageName
        LocationInformation LockoutDuration LockoutObservationWindow LockoutThreshold LoggingResult
        LogonGuid LogonHours LogonID LogonProcessName LogonType:int LogonTypeName MachineAccountQuota
        MachineInventory MachineLogon ManagementGroupName MandatoryLabel MaxPasswordAge MemberName MemberSid
        MinPasswordAge MinPasswordLength MixedDomainMode NASIdentifier NASIPv4Address NASIPv6Address NASPort
        NASPortType NetworkPolicyName NewDate NewMaxUsers NewProcessId NewProcessName NewRemark
        NewShareFlags NewTime NewUacValue NewValue NewValueType ObjectName ObjectServer ObjectType
        ObjectValueName OemInformation OldMaxUsers OldRemark OldShareFlags OldUacValue OldValue OldValueType
        Opcode OperationType PackageName ParentProcessName PasswordHistoryLength PasswordLastSet
        PasswordProperties PreviousDate PreviousTime PrimaryGroupId PrivateKeyUsageCount PrivilegeList
        Process ProcessId ProcessName ProfilePath Properties ProtocolSequence ProxyPolicyName
        QuarantineHelpURL QuarantineSessionID QuarantineSessionIdentifier QuarantineState
        QuarantineSystemHealthResult RelativeTargetName RemoteIpAddress RemotePort Requester RequestId
        RestrictedAdminMode RowsDeleted SamAccountName ScriptPath SecurityDescriptor ServiceAccount
        ServiceFileName ServiceName ServiceStartType:int ServiceType SessionName ShareLocalPath ShareName
        SidHistory SourceComputerId SourceSystem Status StorageAccount SubcategoryGuid SubcategoryId Subject
        SubjectAccount SubjectDomainName SubjectKeyIdentifier SubjectLogonId SubjectMachineName
        SubjectMachineSID SubjectUserName SubjectUserSid SubStatus SystemProcessId:int SystemThreadId:int
        SystemUserId TableId TargetAccount TargetDomainName TargetInfo TargetLinkedLogonId TargetLogonGuid
        TargetLogonId TargetOutboundDomainName TargetOutboundUserName TargetServerName TargetSid TargetUser
        TargetUserName TargetUserSid Task:int TemplateContent TemplateDSObjectFQDN TemplateInternalName
        TemplateOID TemplateSchemaVersion TemplateVersion TimeGenerated:datetime TokenElevationType
        TransmittedServices UserAccountControl UserParameters UserPrincipalName UserWorkstations VendorIds
        Version:int VirtualAccount Workstation WorkstationName
        """,
    ),
    # Source: reference windowsevent.md@19acc6aba302 (2026-07-27), identical to Cribl's WindowsEvent.json.
    #
    # No column is meant for a message. RawEventData comes nearest: it holds the text of an event that could not be
    # parsed into EventData. SystemThreadId is left to extras, because on Linux and macOS thread_id is an address, which
    # does not fit an int.
    "windows_event": _BuiltIn(
        table="WindowsEvent",
        sources={
            "TimeGenerated": "time",
            "Computer": "host",
            "Channel": Extra(("Channel",), default="Application"),
            "Provider": "logger",
            "EventLevel": "event_level",
            "EventLevelName": "event_level_name",
            "SystemProcessId": "process_id",
            "RawEventData": "message",
            "EventData": "*",
        },
        columns="""
        Channel Computer Correlation EventData:dynamic EventID:int EventLevel:int EventLevelName
        EventOriginId EventRecordId Keywords ManagementGroupName Opcode Provider RawEventData
        SystemProcessId:int SystemThreadId:int SystemUserId Task:int TimeGenerated:datetime Version:int
        """,
    ),
    # Source: reference event.md@079747596649 (2026-07-27).
    #
    # EventLevel has other numbers than in WindowsEvent: 1 is an error, 2 a warning and 4 information
    # (azure-docs#21082). Message would repeat RenderedDescription, and be billed again.
    "event": _BuiltIn(
        table="Event",
        sources={
            "TimeGenerated": "time",
            "Computer": "host",
            "EventLog": Extra(("EventLog",), default="Application"),
            "Source": "logger",
            "EventLevel": "event_type",
            "EventLevelName": "event_level_name",
            "RenderedDescription": "message",
            "EventData": "*",
        },
        columns="""
        AzureDeploymentID Computer EventCategory:int EventData EventID:int EventLevel:int EventLevelName
        EventLog ManagementGroupName Message ParameterXml RenderedDescription Role Source SourceSystem
        TimeGenerated:datetime UserName
        """,
    ),
}

# The outputStream of the rule that fills each preset's table.
BUILT_IN: Mapping[str, str] = {name: f"Microsoft-{built_in.table}" for name, built_in in _BUILT_IN.items()}

_NAMES = ("default", "lean", *_BUILT_IN)


def preset(name: str) -> Table:
    """Return the preset of this name; raises a ConfigurationError if there is none.

    >>> [column.name for column in preset("lean")]
    ['TimeGenerated', 'Level', 'Logger', 'Message', 'Exception', 'Properties']
    """
    if name not in _NAMES:
        accepted = ", ".join(map(repr, _NAMES))
        raise ConfigurationError([f"columns={name!r} is not a preset; use {accepted}, or a mapping"])
    return _build(name)


@cache
def _build(name: str) -> Table:
    if name not in _BUILT_IN:
        return LEAN if name == "lean" else DEFAULT
    built_in = _BUILT_IN[name]
    columns = []
    for entry in built_in.columns.split():
        column, _, type_name = entry.partition(":")
        columns.append(Column(column, type_name or "string", built_in.sources.get(column, Extra((column,)))))
    return Table(tuple(columns))


def __getattr__(name: str) -> object:
    """Build a constant that is only annotated above."""
    if name == "PRESETS":
        return MappingProxyType({known: _build(known) for known in _NAMES})
    if name.isupper() and name.lower() in _BUILT_IN:
        return _build(name.lower())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
