"""Tables ready to use: our own, and the built-in ones of Azure Monitor that a Python program can fill.

In a built-in table a column takes the field given for it here, and otherwise the extra of its own name:
``extra={"SourceIP": "10.0.0.7"}``. A field wins over an extra of the same name, so a column takes one only
where no caller would know better; where callers may, the column is an extra with a default. Send to a stream
that declares the preset's columns, with ``transformKql: source`` and the ``outputStream`` in `BUILT_IN`.

The big tables are text until somebody asks for them, so that importing this module costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from ..errors import ConfigurationError
from ..table import Column, Extra, Source, Table

# Our own table, the one that the templates create.
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

# The columns that nobody does without: stored bytes are billed, and the others can outweigh a short message.
LEAN = Table(DEFAULT.columns[:6])

# Built by `__getattr__` on first use, from `_BUILT_IN`.
SYSLOG: Table
COMMON_SECURITY_LOG: Table
SECURITY_EVENT: Table
WINDOWS_EVENT: Table
EVENT: Table
PRESETS: Mapping[str, Table]


class _BuiltIn(NamedTuple):
    """Describe an Azure table; `columns` lists all that can be sent: `Name`, a string, or `Name:type`."""

    table: str
    sources: Mapping[str, Source]
    columns: str


# Names and types come from Azure Monitor's table reference ("reference": MicrosoftDocs/azure-monitor-docs,
# articles/azure-monitor/reference/tables) and from stream declarations made from live workspaces ("Cribl":
# criblio/Cribl-Microsoft@ad2f1c2334ba, deprecated/Azure/CustomDeploymentTemplates/DCR-Templates/
# SentinelNativeTables/DataCollectionRules(NoDCE)). Left out is what the service writes: TenantId, Type, _*.
_BUILT_IN: Mapping[str, _BuiltIn] = {
    # Source: reference syslog.md, identical to Cribl's Syslog.json.
    #
    # There is no column for additional data: extras that are not columns, and an exception's text, have no
    # place here. A formatter set on the handler puts the traceback into SyslogMessage, as with SysLogHandler.
    "syslog": _BuiltIn(
        table="Syslog",
        sources={
            "TimeGenerated": "time",
            "EventTime": "time",  # stays when Azure overwrites TimeGenerated in rows that come two days late
            "Computer": "host",
            "HostName": "host",
            "Facility": Extra(("Facility",), default="user"),
            "SeverityLevel": "syslog_severity",
            "ProcessName": "logger",  # who speaks; Python's own process name is "MainProcess" everywhere
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
    # Vendor, product and version say whose events these are, to queries and to Sentinel's rules: give your
    # own, once, in a filter or bound context. Activity is CEF's name of the event, the same for all events of
    # a kind and never empty; the message differs each time, and would be billed twice.
    # AdditionalExtensions takes the rest as JSON, which `parse_json` reads: in CEF's own key=value;key=value
    # nothing says where a value with a semicolon ends, let alone a traceback.
    "common_security_log": _BuiltIn(
        table="CommonSecurityLog",
        sources={
            "TimeGenerated": "time",
            "ReceiptTime": "time",  # a string; kept for the same reason as EventTime in Syslog
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
    # SourceComputerId, SubcategoryGuid and TargetLogonGuid are guids in the table; a stream knows no guid.
    #
    # Activity is the one column for a sentence. EventData takes the rest: AdditionalInfo and Properties are
    # for particular Windows events. Level is left to extras: it has numbers of its own, such as 8 and 16
    # (azure-docs#114914). Process, ProcessId and ProcessName tell of the process that an event is about.
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
    # No column is meant for a message. RawEventData is the nearest: an event's text if it could not be parsed
    # into EventData. SystemThreadId is left to extras, because thread_id is an address on Linux and macOS and
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
    # EventLevel counts otherwise than WindowsEvent's: 1 is an error here, 2 a warning and 4 information
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

# The outputStream of a rule that fills the preset's table.
BUILT_IN: Mapping[str, str] = {name: f"Microsoft-{built_in.table}" for name, built_in in _BUILT_IN.items()}

_NAMES = ("default", "lean", *_BUILT_IN)


def preset(name: str) -> Table:
    """Return the table of this name.

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
    """Build the constants that are annotated only."""
    if name == "PRESETS":
        return MappingProxyType({known: _build(known) for known in _NAMES})
    if name.isupper() and name.lower() in _BUILT_IN:
        return _build(name.lower())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
