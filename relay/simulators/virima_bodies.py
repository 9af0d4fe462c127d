"""The bodies of Virima's LoginService: each field with the name and the type of the specification."""

from collections.abc import Mapping

from relay.simulators.shape import Check, filled, flag, flag_or_number, members, optional, text


def _texts(names: str) -> dict[str, Check]:
    return dict.fromkeys(names.split(), optional(text))


_LOCATION = members(_texts("stringobj shortName s3Name uniqueId lineType"), required=())
_CLIENT_FLAGS_AND_NUMBERS = (
    "state addedOn currentStateTime archive customerId noOfAssetsDiscovered proxy agentScanEnabled "
    "agentAutoUpdateThroughAppEnabled autoUpdateApp lastStatusUpdate liveConnectionServerSSL"
)
_CLIENT_TEXTS = (
    "clientSessionId hostName name clientName ipAddress subnet currentStatus uniqueId userId operatingSystem "
    "serverIpAddress serverDNSName version latestVersionFoClient fqdn liveConnectionServerPort "
    "webservicesPort certificate serialNumber"
)
_CLIENT = members(
    {
        **_texts(_CLIENT_TEXTS),
        **dict.fromkeys(_CLIENT_FLAGS_AND_NUMBERS.split(), optional(flag_or_number)),
        "location": optional(_LOCATION),
    },
    required=(),
)
_CREDENTIAL: Mapping[str, Check] = {
    **_texts("password demoUser customerId clientName oldSessionId"),
    "email": filled,
    "enableMFA": optional(flag),
    "client": optional(_CLIENT),
}

#: A Credential that names a user, to impersonate or to send a mail to.
USER_CREDENTIAL: Check = members(_CREDENTIAL, required=("email",))
#: A Credential with the password, for a login.
LOGIN_CREDENTIAL: Check = members({**_CREDENTIAL, "password": filled}, required=("email", "password"))
RESET_PASSWORD: Check = members(
    {"email": filled, "password": filled, "directPasswordChange": optional(flag), **_texts("instance")},
    required=("email", "password"),
)
SET_UP_WIZARD: Check = members(
    {"email": filled, "password": filled, **_texts("wizardJson")}, required=("email", "password")
)

_DETAIL_TEXTS = (
    "email password userName firstName lastName displayName phone uniqueId timeStamp fileName bucketName "
    "wikiLink logoPic theme Url landingPage currency language sessionId isLocalStorage downloadLink "
    "storageType driveLink driveLinkForOrganization chatServerAddress organizationName serviceNowDomain "
    "serverPort nettyPort severAddress ivantiDomain jiraDomain subscribedModules twoFactorSecretKey mfaType "
    "timezone"
)
_DETAIL_FLAGS = (
    "isAdmin isEndUser isCustomer isVendor isSuperAdmin isSuperEndUser integrationEnabled "
    "isCherwellIntegrationEnabled newUIEnabled enableMFA mfaChecked"
)
#: Every field of UserDetails, with its empty value.
USER_DETAILS: Mapping[str, int | str | bool] = {
    "id": 0,
    **dict.fromkeys(_DETAIL_TEXTS.split(), ""),
    **dict.fromkeys(_DETAIL_FLAGS.split(), False),
}
