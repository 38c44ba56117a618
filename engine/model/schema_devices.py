"""The data of hardware, certificate, drift and version signals: levels that are no objects."""

from collections.abc import Mapping
from typing import Final

from engine.model.field import Field, Fields

DEVICE: Final[Fields] = {
    "kind": Field("string", "gpu, nic, infiniband, nvme, agent, or inventory"),
    "name": Field("string", "the device, such as gpu-0, ens3 or mlx5_0/1"),
    "uid": Field("string", "identity of the device: uid of the node and serial or name"),
    "node": Field("string", "node that it is in"),
    "model": Field("string", "product name"),
    "serial": Field("string", "serial number, or the uuid of a GPU"),
    "firmware": Field("string", "version of its firmware"),
    "pci": Field("string", "address on the PCI bus"),
    "labels": Field("map(string)", "labels of the node"),
}
"""Fields of every device."""

_UP_BEFORE: Final = Field("bool", "the link was up within the last days: it is in use")

DEVICES: Final[Mapping[str, Fields]] = {
    "gpu": {
        "namespace": Field("string", "namespace of the pod that holds it"),
        "pod": Field("string", "that pod"),
        "workload": Field("string", "topmost owner of that pod"),
        "pods": Field("list(string)", "pods that share it, in place of `pod`: namespace/name"),
        "utilization": Field("double", "time in which it worked, of the last interval", "percent"),
        "engineActive": Field("double", "time in which its engine was active", "percent"),
        "tensorActive": Field("double", "time in which its tensor cores were active", "percent"),
        "memoryUsed": Field("double", "memory in use", "bytes"),
        "memoryTotal": Field("double", "memory of the device", "bytes"),
        "temperature": Field("double", "temperature of the chip", "°C"),
        "power": Field("double", "power drawn", "W"),
        "xid": Field("int", "last Xid error code since the driver was loaded, 0: none"),
        "eccUncorrectable": Field("int", "uncorrectable ECC errors since then", "errors"),
        "eccCorrectable": Field("int", "corrected ECC errors since then", "errors"),
        "remappedRows": Field("int", "memory rows replaced after an uncorrectable error", "rows"),
        "rowRemapFailed": Field("bool", "a defective memory row could not be replaced"),
        "throttled": Field("list(string)", "why its clock is held down, such as thermal"),
        "nvlinkErrors": Field("int", "CRC, replay and recovery errors of NVLink", "errors"),
        "nvlinkRate": Field("double", "sent and received by NVLink", "bytes/s"),
    },
    "nic": {
        "state": Field("string", "up or down"),
        "upBefore": _UP_BEFORE,
        "speed": Field("int", "speed of the link", "Mbit/s"),
        "driver": Field("string", "driver that holds it"),
        "vfs": Field("int", "virtual functions that are made of it", "devices"),
        "errors": Field("int", "receive and transmit errors; counts up", "packets"),
        "dropped": Field("int", "packets dropped, in and out; counts up", "packets"),
        "packets": Field("int", "packets received and sent; counts up", "packets"),
    },
    "infiniband": {
        "state": Field("string", "state of the port: active, init, armed or down"),
        "upBefore": _UP_BEFORE,
        "physicalState": Field("string", "linkup, polling, disabled, sleep ..."),
        "linkLayer": Field("string", "infiniband or ethernet"),
        "rate": Field("double", "rate of the link", "Gbit/s"),
        "symbolErrors": Field("int", "symbol errors; counts up", "errors"),
        "rcvErrors": Field("int", "packets received with errors; counts up", "packets"),
        "recoveries": Field("int", "times that the link recovered; counts up", "times"),
        "discards": Field("int", "packets that could not be sent; counts up", "packets"),
        "linkDowned": Field("int", "times that the link went down; counts up", "times"),
    },
    "nvme": {
        "state": Field("string", "live, connecting, resetting, dead ..."),
        "transport": Field("string", "pcie, or the fabric of a remote one: tcp, rdma, fc"),
        "spare": Field("double", "spare capacity that is left", "percent"),
        "spareThreshold": Field(
            "double", "spare below which the device calls itself worn", "percent"
        ),
        "used": Field("double", "share of its rated life that is used; may exceed 100", "percent"),
        "mediaErrors": Field("int", "media errors; counts up", "errors"),
        "temperature": Field("double", "temperature", "°C"),
    },
    "agent": {
        "boot": Field("string", "id of the boot of the node: another one after each start"),
        "unread": Field("list(string)", "what it could not read, as path: reason; the first ones"),
        "faults": Field("int", "how many files it could not read", "files"),
    },
    "inventory": {
        "device": Field(
            "string",
            "what is counted: gpu, nic, infiniband, nvme, rdma, sriov ..., or the node itself",
        ),
        "count": Field("int", "devices of that kind that the node has now", "devices"),
        "baseline": Field("int", "devices that it had over the last days", "devices"),
        "missing": Field("list(string)", "names of those that are gone, where known"),
        "unhealthy": Field("int", "devices that their plugin holds back as unhealthy", "devices"),
        "agent": Field("string", "of node: reporting, or silent; absent where it never reported"),
        "gpuDriver": Field("string", "of node: ready, upgrading or failed"),
        "networkDriver": Field("string", "of node: ready or waiting"),
    },
}
"""Fields that each kind of device has beside those of DEVICE."""

CERTIFICATE: Final[Fields] = {
    "kind": Field(
        "string",
        "where it is: Certificate, Secret (of no Certificate), ValidatingWebhookConfiguration, "
        "MutatingWebhookConfiguration, APIService, CustomResourceDefinition, APIServer, "
        "kubeconfig or endpoint",
    ),
    "namespace": Field("string", "namespace of that object"),
    "name": Field("string", "name of that object, with /entry of its part; or host:port"),
    "uid": Field("string", "uid of that object"),
    "change": Field("string", "deleted once it is gone"),
    "workload": Field("string", "workload that mounts its Secret, the first by name"),
    "labels": Field("map(string)", "labels of that object"),
    "subject": Field("string", "subject, by its common name"),
    "issuer": Field("string", "issuer, by its common name"),
    "names": Field("list(string)", "DNS names and addresses that it is for"),
    "notBefore": Field("string", "start of its validity", "RFC 3339"),
    "notAfter": Field(
        "string",
        "end of its validity: the earliest of its chain, the latest of a bundle",
        "RFC 3339",
    ),
    "lifetime": Field("double", "notAfter less notBefore of the certificate itself", "days"),
    "serial": Field("string", "serial number, in hexadecimal"),
    "fingerprint": Field("string", "SHA-256 of the certificate, in hexadecimal"),
    "keyAlgorithm": Field("string", "rsa, ecdsa, ed25519 ..."),
    "keyBits": Field("int", "size of its key", "bits"),
    "selfSigned": Field("bool", "it names itself as its issuer"),
    "chainLength": Field("int", "certificates of its chain or bundle", "certificates"),
    "bundle": Field(
        "bool", "these are authorities to trust: an old one may stand beside its successor"
    ),
    "managed": Field("bool", "cert-manager or an operator renews it"),
    "manager": Field("string", "who renews it, such as cert-manager or service-ca"),
    "revision": Field("int", "how often cert-manager has issued it"),
    "renewalTime": Field("string", "when it should be renewed, where managed", "RFC 3339"),
    "ready": Field("bool", "its manager calls it ready"),
    "verified": Field("bool", "of an endpoint: a client may trust it under that name"),
    "refusal": Field(
        "string",
        "why not: expired, not-yet-valid, hostname, self-signed, unknown-authority, revoked, other",
    ),
    "skipped": Field("int", "further certificates that were not looked at", "certificates"),
    "error": Field(
        "string",
        "`reason: sentence` where all or a part of it can not be read: empty, malformed, "
        "passphrase, too-large, config, timeout, unreachable, not-found",
    ),
}

DRIFT: Final[Fields] = {
    "kind": Field("string", "kind of the object"),
    "apiVersion": Field("string", "group and version"),
    "namespace": Field("string", "its namespace"),
    "name": Field("string", "its name"),
    "uid": Field("string", "its uid; empty while it is missing"),
    "workload": Field("string", "name of its topmost owner, else its own"),
    "labels": Field("map(string)", "its labels"),
    "app": Field("string", "application or Kustomization that it belongs to, else the folder"),
    "source": Field("string", "who says so: git, argocd or flux"),
    "drifted": Field("bool", "it differs from what is desired"),
    "syncing": Field("bool", "a sync is under way"),
    "since": Field("string", "when the difference was first seen", "RFC 3339"),
    "difference": Field("string", "modified, missing or extra, where it is drifted"),
    "paths": Field("list(string)", "fields that differ, where known; 50 at most"),
    "revision": Field("string", "revision of the desired state"),
    "health": Field("string", "its health by argocd, or why flux is not ready"),
    "message": Field("string", "why flux could not make it as desired, in words"),
}

VERSIONED: Final[Fields] = {
    "kind": Field("string", "server, kubelet, api, chart or operator"),
    "namespace": Field("string", "namespace of a chart or an operator"),
    "name": Field(
        "string", "kube-apiserver, node, API (group/version/resource), chart or operator"
    ),
    "node": Field("string", "node of a kubelet"),
    "version": Field("string", "its version"),
    "serverMinor": Field("int", "minor version of the API server"),
}
"""Fields of every version signal."""

VERSIONS: Final[Mapping[str, Fields]] = {
    "server": {"newest": Field("string", "newest patch that is known", planned=True)},
    "kubelet": {"minor": Field("int", "its minor version")},
    "api": {
        "removedMinor": Field(
            "int", "minor version that no longer serves the API; missing: none is known"
        ),
        "requests": Field("int", "requests that the API server counted; counts up", "requests"),
    },
    "chart": {
        "newest": Field("string", "newest version that is known", planned=True),
        "release": Field("string", "release of Helm that it is installed as"),
        "appVersion": Field("string", "version of what it installs"),
    },
    "operator": {"newest": Field("string", "newest version of its channel, where known")},
}
"""Fields that each kind has beside those of VERSIONED."""
